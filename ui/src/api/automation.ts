/** Runbooks and runs. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, body } from './client';
import type { Labels, Page } from './types';

export interface SourceError {
  /** From 1. */
  line: number;
  column: number;
  message: string;
}

export interface RunbookInput {
  name: string;
  type: 'text' | 'glob' | 'integer' | 'boolean' | 'choice';
  description: string;
  is_required: boolean;
  default: string | null;
  pattern?: string | null;
  min?: number;
  max?: number;
  options?: string[];
}

export interface StepName {
  name: string;
  kind: string;
}

export interface Runbook {
  id: string;
  name: string;
  description: string;
  is_enabled: boolean;
  risk: string;
  is_standard: boolean;
  inputs: RunbookInput[];
  targets: string | null;
  steps: StepName[];
  schedules: { cron: string; time_zone: string; next_at: string | null }[];
  alerts: { alert: string; mode: 'dry_run' | 'ask' | 'run' }[];
  /** The document, as YAML. */
  text: string;
  updated_by: string;
  updated_at: string;
  version: number;
  errors: SourceError[];
}

export interface RunTarget {
  item_id: string;
  name: string;
  host_id: string;
  tags: Labels;
}

/** Exactly what a run would do. */
export interface Plan {
  hash: string;
  risk: string;
  targets: RunTarget[];
  waves: string[][];
  steps: { name: string; kind: string; on: { target: string; what: string }[] }[];
}

export type RunState =
  | 'awaiting_approval'
  | 'awaiting_person'
  | 'queued'
  | 'running'
  | 'cancelling'
  | 'succeeded'
  | 'failed'
  | 'cancelled'
  | 'rejected';

export interface RunTask {
  step: number;
  /** Empty for steps that are done once. */
  item_id: string;
  target: string;
  attempt: number;
  state: 'waiting' | 'dispatched' | 'running' | 'ok' | 'failed' | 'skipped' | 'unknown' | 'cancelled';
  command_id: string | null;
  exit_code: number | null;
  note: string | null;
  started_at: string | null;
  finished_at: string | null;
}

export interface Run {
  id: string;
  runbook_id: string;
  runbook: string;
  runbook_version: number;
  state: RunState;
  is_dry: boolean;
  source: 'person' | 'schedule' | 'alert';
  inputs: Record<string, string>;
  targets: RunTarget[];
  wave: number;
  waves: number;
  step: number;
  steps: StepName[];
  tasks: RunTask[];
  incident_id: string | null;
  alert_id: string | null;
  change_id: string | null;
  requested_by: string;
  requested_at: string;
  started_at: string | null;
  finished_at: string | null;
  note: string | null;
}

const at = (id: string) => ({ params: { path: { id } } });

export const runbooksQuery = queryOptions({
  queryKey: ['runbooks', 'list'],
  queryFn: () => body<Runbook[]>(api.GET('/api/v1/runbooks')),
});

export const runbookQuery = (id: string) =>
  queryOptions({
    queryKey: ['runbooks', 'one', id],
    queryFn: () => body<Runbook>(api.GET('/api/v1/runbooks/{id}', at(id))),
  });

export const runsQuery = (filter: { runbook_id?: string; state?: RunState; incident_id?: string; limit?: number }) =>
  queryOptions({
    queryKey: ['runs', 'list', filter],
    queryFn: () => body<Page<Run>>(api.GET('/api/v1/runs', { params: { query: filter } })),
    placeholderData: keepPreviousData,
  });

export const runKey = (id: string) => ['runs', 'one', id];
export const runQuery = (id: string) =>
  queryOptions({ queryKey: runKey(id), queryFn: () => body<Run>(api.GET('/api/v1/runs/{id}', at(id))) });

export const validateRunbook = (text: string) =>
  body<{ errors: SourceError[]; inputs: RunbookInput[]; steps: StepName[] }>(
    api.POST('/api/v1/runbooks/validate', { body: { text } }),
  );
export const createRunbook = (text: string) => body<Runbook>(api.POST('/api/v1/runbooks', { body: { text } }));
export const updateRunbook = (id: string, text: string, version: number, is_enabled: boolean) =>
  body<Runbook>(api.PUT('/api/v1/runbooks/{id}', { ...at(id), body: { text, version, is_enabled } }));
export const deleteRunbook = (id: string) => body<void>(api.DELETE('/api/v1/runbooks/{id}', at(id)));

export interface StartInput {
  inputs: Record<string, string>;
  /** A selector that stands in for the runbook's own. */
  targets?: string;
  incident_id?: string;
  plan_hash?: string;
  dry_run?: boolean;
  reason?: string;
}

export const planRun = (id: string, input: StartInput) =>
  body<Plan>(api.POST('/api/v1/runbooks/{id}/plan', { ...at(id), body: input }));
export const startRun = (id: string, input: StartInput) =>
  body<Run>(api.POST('/api/v1/runbooks/{id}/runs', { ...at(id), body: input }));
export const cancelRun = (id: string) => body<Run>(api.POST('/api/v1/runs/{id}/cancel', at(id)));
export const approveRun = (id: string) => body<Run>(api.POST('/api/v1/runs/{id}/approve', at(id)));
export const rejectRun = (id: string) => body<Run>(api.POST('/api/v1/runs/{id}/reject', at(id)));

export const isOver = (state: RunState) => ['succeeded', 'failed', 'cancelled', 'rejected'].includes(state);
export const isWaiting = (state: RunState) => state === 'awaiting_approval' || state === 'awaiting_person';
export const waitsForMe = runsQuery({ state: 'awaiting_person', limit: 20 });

export interface RunbookVersion {
  version: number;
  updated_by: string;
  updated_at: string;
}

export const runbookVersionsQuery = (id: string) =>
  queryOptions({
    queryKey: ['runbooks', 'versions', id],
    queryFn: () => body<RunbookVersion[]>(api.GET('/api/v1/runbooks/{id}/versions', at(id))),
  });

export const runbookVersionQuery = (id: string, version: number) =>
  queryOptions({
    queryKey: ['runbooks', 'version', id, version],
    queryFn: () =>
      body<{ version: number; text: string }>(
        api.GET('/api/v1/runbooks/{id}/versions/{version}', { params: { path: { id, version } } }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
  });
