/** Alerts, silences and maintenance windows. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, body, wholeList } from './client';
import type { Event, Labels, Page, Severity } from './types';

export type AlertState = 'pending' | 'firing' | 'resolved';

export interface Alert {
  id: string;
  name: string;
  state: AlertState;
  severity: Severity;
  labels: Labels;
  annotations: Labels;
  item_id: string | null;
  value: number | null;
  active_since: string;
  fired_at: string | null;
  resolved_at: string | null;
  silenced_by: string | null;
  suppressed_by: string | null;
  due_at: string | null;
  sources: string[];
  flapping: boolean;
}

export interface AlertDetail {
  alert: Alert;
  silence: Silence | null;
  maintenance: Maintenance | null;
  history: Event[];
  episodes: Alert[];
}

export interface Matcher {
  name: string;
  op: '=' | '!=' | '=~' | '!~';
  value: string;
}

export interface Silence {
  id: string;
  matchers: Matcher[];
  starts_at: string;
  ends_at: string;
  comment: string;
  created_by_name: string;
  phase: 'pending' | 'active' | 'expired';
  version: number;
}

export interface Maintenance {
  id: string;
  title: string;
  items: string[];
  selector: string | null;
  with_dependents: boolean;
  starts_at: string;
  ends_at: string;
  phase: 'pending' | 'active' | 'expired';
  created_by_name: string;
  version: number;
}

export interface SilenceInput {
  matchers: Matcher[];
  starts_at?: string;
  ends_at: string;
  comment: string;
}

export const alertsQuery = (filter: {
  state?: string;
  severity?: string;
  item?: string;
  name?: string;
  filter?: string;
  muted?: boolean;
  limit?: number;
}) =>
  queryOptions({
    queryKey: ['alerts', 'list', filter],
    queryFn: () => body<Page<Alert>>(api.GET('/api/v1/alerts', { params: { query: filter } })),
    placeholderData: keepPreviousData,
  });

/** All that fires, muted or not: what headlines and counts are made from. */
export const firingAlertsQuery = queryOptions({
  queryKey: ['alerts', 'firing'],
  queryFn: () =>
    wholeList((cursor) =>
      body<Page<Alert>>(api.GET('/api/v1/alerts', { params: { query: { state: 'firing', limit: 500, cursor } } })),
    ),
});

export const silencesQuery = queryOptions({
  queryKey: ['silences'],
  queryFn: () => body<Page<Silence>>(api.GET('/api/v1/silences')),
});

export const createSilence = (silence: SilenceInput) => body<Silence>(api.POST('/api/v1/silences', { body: silence }));
export const previewSilence = (matchers: Matcher[]) =>
  body<{ alerts: Alert[]; now: number; last_week: number }>(
    api.POST('/api/v1/silences/preview', { body: { matchers } }),
  );
export const changeSilence = (silence: Silence, change: { ends_at?: string; comment?: string }) =>
  body<Silence>(
    api.PATCH('/api/v1/silences/{id}', {
      params: { path: { id: silence.id }, header: { 'if-match': String(silence.version) } },
      body: change,
    }),
  );
export const endSilence = (id: string) => body<void>(api.DELETE('/api/v1/silences/{id}', { params: { path: { id } } }));

export const alertQuery = (id: string) =>
  queryOptions({
    queryKey: ['alerts', 'one', id],
    queryFn: () => body<AlertDetail>(api.GET('/api/v1/alerts/{id}', { params: { path: { id } } })),
  });

export const maintenanceQuery = queryOptions({
  queryKey: ['maintenance'],
  queryFn: () => body<Page<Maintenance>>(api.GET('/api/v1/maintenance')),
});
export const createMaintenance = (window: {
  title: string;
  items: string[];
  selector?: string;
  with_dependents: boolean;
  starts_at?: string;
  ends_at: string;
}) => body<Maintenance>(api.POST('/api/v1/maintenance', { body: window }));
export const endMaintenance = (id: string) =>
  body<void>(api.DELETE('/api/v1/maintenance/{id}', { params: { path: { id } } }));
export const changeMaintenance = (window: Maintenance, change: { ends_at?: string }) =>
  body<Maintenance>(
    api.PATCH('/api/v1/maintenance/{id}', {
      params: { path: { id: window.id }, header: { 'if-match': String(window.version) } },
      body: change,
    }),
  );
