/** Metrics through Prometheus' own API, logs, and rules. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, body, ProblemError } from './client';
import type { components } from './schema';
import type { Labels } from './types';

export interface Series {
  labels: Labels;
  /** Unix seconds and value. */
  points: [number, number][];
}

interface PromAnswer<T> {
  status: 'success' | 'error';
  data: T;
  error?: string;
  errorType?: string;
  warnings?: string[];
}

/** A query that cannot be read, and where. */
export class QueryError extends Error {
  constructor(
    message: string,
    readonly place: Place | null,
  ) {
    super(message);
  }
}

async function prometheus<T>(path: string, form: Record<string, string>, signal?: AbortSignal): Promise<T> {
  const query = new URLSearchParams(form);
  const response = await fetch(`/prometheus/api/v1/${path}?${query}`, { credentials: 'same-origin', signal });
  const answer = (await response.json().catch(() => null)) as PromAnswer<T> | null;
  if (answer?.status === 'success') return answer.data;
  if (answer?.error) throw new QueryError(answer.error, place(answer.error));
  const problem = answer as unknown as { title?: string; detail?: string } | null;
  throw new ProblemError(
    response.status,
    problem?.title ?? `The server answered ${response.status}`,
    problem?.detail ?? '',
    '',
  );
}

export interface Place {
  /** From 1. */
  line: number;
  column: number;
}

/** Where a fault is, as our server says it (`line 1, column 20: …`) or Prometheus itself (`1:20: …`). */
export function place(message: string): Place | null {
  const found = /^line (\d+), column (\d+)|(?:^|\s)(\d+):(\d+)/.exec(message);
  if (!found) return null;
  return { line: Number(found[1] ?? found[3]), column: Number(found[2] ?? found[4]) };
}

type Vector = { metric: Labels; value: [number, string] }[];
type Matrix = { metric: Labels; values: [number, string][] }[];

export async function instant(expr: string, time?: number, signal?: AbortSignal): Promise<Series[]> {
  const form: Record<string, string> = { query: expr };
  if (time !== undefined) form.time = String(time);
  const data = await prometheus<{ resultType: string; result: Vector | [number, string] }>('query', form, signal);
  if (data.resultType === 'scalar') {
    const [at, value] = data.result as [number, string];
    return [{ labels: {}, points: [[at, Number(value)]] }];
  }
  return (data.result as Vector).map((s) => ({ labels: s.metric, points: [[s.value[0], number(s.value[1])]] }));
}

export async function range(
  expr: string,
  from: number,
  to: number,
  step: number,
  signal?: AbortSignal,
): Promise<Series[]> {
  const form = { query: expr, start: String(from), end: String(to), step: String(step) };
  const data = await prometheus<{ result: Matrix }>('query_range', form, signal);
  return data.result.map((s) => ({ labels: s.metric, points: s.values.map(([at, v]) => [at, number(v)]) }));
}

function number(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return Number(text);
}

export const instantQuery = (expr: string, every?: number) =>
  queryOptions({
    queryKey: ['metrics', 'instant', expr],
    queryFn: ({ signal }) => instant(expr, undefined, signal),
    refetchInterval: every ?? false,
    placeholderData: keepPreviousData,
    enabled: expr !== '',
    retry: false,
  });

export const rangeQuery = (expr: string, span: number, to: number | null, step: number, every?: number) =>
  queryOptions({
    queryKey: ['metrics', 'range', expr, span, to, step],
    queryFn: ({ signal }) => {
      const end = to ?? Math.floor(Date.now() / 1000);
      return range(expr, end - span, end, step, signal);
    },
    refetchInterval: every ?? false,
    placeholderData: keepPreviousData,
    enabled: expr !== '',
    retry: false,
  });

export const metricNamesQuery = queryOptions({
  queryKey: ['metrics', 'names'],
  queryFn: () => prometheus<string[]>('label/__name__/values', {}),
  staleTime: 60_000,
});

export const labelNamesQuery = queryOptions({
  queryKey: ['metrics', 'labels'],
  queryFn: () => prometheus<string[]>('labels', {}),
  staleTime: 60_000,
});

export interface LogLine {
  position: string;
  at: string;
  labels: Labels;
  severity: number | null;
  text: string;
}

export interface LogPage {
  items: LogLine[];
  next: string | null;
  is_complete: boolean;
  scanned_lines: number;
  /** What could not be read, and why. */
  warnings?: string[];
}

export interface LogHistogram {
  step_ms: number;
  buckets: { at: string; total: number; errors: number; warnings: number }[];
  is_complete: boolean;
}

export interface LogRequest {
  q?: string;
  /** Seconds back from now. */
  span: number;
  limit?: number;
}

const window_ = (span: number) => ({ from: new Date(Date.now() - span * 1000).toISOString() });

export const logsQuery = ({ q, span, limit }: LogRequest, every?: number) =>
  queryOptions({
    queryKey: ['logs', 'lines', q, span, limit],
    queryFn: () =>
      body<LogPage>(
        api.GET('/api/v1/logs/query', { params: { query: { q: q || undefined, ...window_(span), limit } } }),
      ),
    placeholderData: keepPreviousData,
    refetchInterval: every ?? false,
    retry: false,
  });

export const logHistogramQuery = ({ q, span }: LogRequest) =>
  queryOptions({
    queryKey: ['logs', 'histogram', q, span],
    queryFn: () =>
      body<LogHistogram>(
        api.GET('/api/v1/logs/histogram', { params: { query: { q: q || undefined, ...window_(span) } } }),
      ),
    placeholderData: keepPreviousData,
    retry: false,
  });

export const logLabelsQuery = queryOptions({
  queryKey: ['logs', 'labels'],
  queryFn: () => body<string[]>(api.GET('/api/v1/logs/labels')),
  staleTime: 60_000,
});

/** Follows new lines; returns how to stop. */
export function tailLogs(
  q: string,
  on: { line: (line: LogLine) => void; live: (live: boolean) => void; dropped: (count: number) => void },
): () => void {
  const source = new EventSource(`/api/v1/logs/tail?${new URLSearchParams({ q })}`);
  source.onopen = () => on.live(true);
  source.onerror = () => on.live(false);
  source.addEventListener('line', ((message: MessageEvent<string>) =>
    on.line(JSON.parse(message.data) as LogLine)) as EventListener);
  source.addEventListener('dropped', ((message: MessageEvent<string>) =>
    on.dropped(Number(message.data))) as EventListener);
  return () => source.close();
}

/** The newest sample of a series, in milliseconds since 1970. */
export interface LastSample {
  labels: Labels;
  t: number;
  v: number | null;
}

/** New samples of the selected series, each second; returns how to stop. */
export function liveSamples(
  selectors: string[],
  take: (samples: LastSample[]) => void,
  state: (live: boolean) => void,
): () => void {
  const source = new EventSource(`/api/v1/metrics/live?${new URLSearchParams({ selector: selectors.join('\n') })}`);
  source.onopen = () => state(true);
  source.onerror = () => state(false);
  source.addEventListener('samples', ((message: MessageEvent<string>) =>
    take(JSON.parse(message.data) as LastSample[])) as EventListener);
  return () => source.close();
}

export interface RuleState {
  key: string;
  name: string;
  kind: 'alert' | 'record';
  expr: string;
  for_ms: number;
  keep_firing_for_ms: number;
  is_on_ingest: boolean;
  active: number;
  last_error: string | null;
  evaluated_at: string | null;
  evaluation_ms: number;
}

export interface RuleOverview {
  packs: { name: string; title: string; is_enabled: boolean; text: string }[];
  groups: { name: string; interval_ms: number; rules: RuleState[] }[];
}

export interface RuleFile {
  id: string;
  name: string;
  text: string;
  is_enabled: boolean;
  updated_by: string;
  updated_at: string;
  version: number;
}

export interface RuleFileInput {
  name: string;
  text: string;
  is_enabled: boolean;
  version?: number;
}

const at = (id: string) => ({ params: { path: { id } } });

export const rulesQuery = queryOptions({
  queryKey: ['rules', 'overview'],
  queryFn: () => body<RuleOverview>(api.GET('/api/v1/rules')),
});
export const ruleFilesQuery = queryOptions({
  queryKey: ['rules', 'files'],
  queryFn: () => body<RuleFile[]>(api.GET('/api/v1/rule-files')),
});
export const checkRules = (file: RuleFileInput) =>
  body<{ errors: { line: number | null; column: number | null; message: string }[]; rules: number }>(
    api.POST('/api/v1/rule-files/check', { body: file }),
  );
export const saveRules = (id: string | null, file: RuleFileInput) =>
  id
    ? body<RuleFile>(api.PUT('/api/v1/rule-files/{id}', { ...at(id), body: file }))
    : body<RuleFile>(api.POST('/api/v1/rule-files', { body: file }));
export const deleteRules = (id: string) => body<void>(api.DELETE('/api/v1/rule-files/{id}', at(id)));
export const switchPack = (name: string, is_enabled: boolean) =>
  body<void>(api.PUT('/api/v1/rule-packs/{name}', { params: { path: { name } }, body: { is_enabled } }));

export type Tuning = components['schemas']['Tuning'];
export type TuningBody = components['schemas']['TuningBody'];
export type Tunable = components['schemas']['Tunable'];
export type TuningPreview = components['schemas']['TuningPreview'];

export const tuningsQuery = queryOptions({
  queryKey: ['rules', 'tunings'],
  queryFn: () => body<{ items: Tuning[]; rules: Tunable[] }>(api.GET('/api/v1/rule-tunings')),
});
export const createTuning = (tuning: TuningBody) => body<Tuning>(api.POST('/api/v1/rule-tunings', { body: tuning }));
export const deleteTuning = (id: string) => body<void>(api.DELETE('/api/v1/rule-tunings/{id}', at(id)));
export const previewTuning = (tuning: TuningBody) =>
  body<TuningPreview>(api.POST('/api/v1/rule-tunings/preview', { body: tuning }));
