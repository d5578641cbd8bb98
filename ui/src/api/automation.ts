/** Runbooks and runs. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, body } from './client';
import type { Page } from './types';

export interface Runbook {
  id: string;
  name: string;
  description: string;
  version: number;
  source: string;
  inputs: RunbookInput[];
  steps: string[];
  triggers: string[];
  updated_at: string;
  updated_by_name: string;
  last_run?: { id: string; state: RunState; finished_at: string | null } | null;
}

export interface RunbookInput {
  name: string;
  type: 'string' | 'number' | 'boolean' | 'choice';
  description: string;
  required: boolean;
  default: unknown;
  choices?: string[];
}

export interface SourceError {
  line: number;
  column: number;
  message: string;
}

export interface PlanStep {
  name: string;
  action: string;
  detail: string;
  targets: string[];
}

export interface Plan {
  hash: string;
  risk: string;
  targets: { item_id: string; name: string }[];
  steps: PlanStep[];
  warnings: string[];
}

export type RunState = 'queued' | 'waiting' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'rejected';

export interface Run {
  id: string;
  runbook_id: string;
  runbook_name: string;
  state: RunState;
  started_by_name: string;
  trigger: string;
  incident_id: string | null;
  change_id: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  targets: { item_id: string; name: string }[];
  steps: RunStep[];
  error?: string | null;
}

export interface RunStep {
  index: number;
  name: string;
  action: string;
  targets: RunCell[];
}

export interface RunCell {
  item_id: string | null;
  name: string;
  state: string;
  exit_code: number | null;
  output: string;
  started_at: string | null;
  finished_at: string | null;
}

const at = (id: string) => ({ params: { path: { id } } });

export const runbooksQuery = queryOptions({
  queryKey: ['runbooks', 'list'],
  queryFn: () => body<Page<Runbook>>(api.GET('/api/v1/runbooks', { params: { query: { limit: 200 } } })),
});

export const runbookQuery = (id: string) =>
  queryOptions({
    queryKey: ['runbooks', 'one', id],
    queryFn: () => body<Runbook>(api.GET('/api/v1/runbooks/{id}', at(id))),
  });

export const runsQuery = (filter: { runbook?: string; state?: string; incident?: string; limit?: number }) =>
  queryOptions({
    queryKey: ['runs', 'list', filter],
    queryFn: () => body<Page<Run>>(api.GET('/api/v1/runs', { params: { query: filter } })),
    placeholderData: keepPreviousData,
  });

export const runQuery = (id: string) =>
  queryOptions({ queryKey: ['runs', 'one', id], queryFn: () => body<Run>(api.GET('/api/v1/runs/{id}', at(id))) });

export const validateRunbook = (source: string) =>
  body<{ errors: SourceError[] }>(api.POST('/api/v1/runbooks/validate', { body: { source } }));
export const createRunbook = (source: string) => body<Runbook>(api.POST('/api/v1/runbooks', { body: { source } }));
export const updateRunbook = (id: string, source: string, version: number) =>
  body<Runbook>(api.PUT('/api/v1/runbooks/{id}', { ...at(id), body: { source, version } }));
export const deleteRunbook = (id: string) => body<void>(api.DELETE('/api/v1/runbooks/{id}', at(id)));

export interface StartInput {
  inputs: Record<string, unknown>;
  targets?: string;
  incident?: string;
}

export const planRun = (id: string, input: StartInput) =>
  body<Plan>(api.POST('/api/v1/runbooks/{id}/plan', { ...at(id), body: input }));
export const startRun = (id: string, input: StartInput) =>
  body<Run>(api.POST('/api/v1/runbooks/{id}/runs', { ...at(id), body: input }));
export const cancelRun = (id: string) => body<Run>(api.POST('/api/v1/runs/{id}/cancel', { ...at(id), body: {} }));
export const approveRun = (id: string) => body<Run>(api.POST('/api/v1/runs/{id}/approve', { ...at(id), body: {} }));
export const rejectRun = (id: string) => body<Run>(api.POST('/api/v1/runs/{id}/reject', { ...at(id), body: {} }));

export const isOver = (state: RunState) => ['succeeded', 'failed', 'cancelled', 'rejected'].includes(state);
