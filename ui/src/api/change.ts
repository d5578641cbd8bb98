/** Changes, freezes and change windows. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, body } from './client';
import type { Labels, Page } from './types';

export type ChangeState =
  | 'requested'
  | 'approved'
  | 'granted'
  | 'refused'
  | 'rejected'
  | 'succeeded'
  | 'failed'
  | 'cancelled';

export interface Change {
  id: string;
  title: string;
  kind: string;
  source: 'person' | 'schedule' | 'alert' | 'pipeline';
  risk: 'low' | 'medium' | 'high';
  state: ChangeState;
  reason: string;
  plan_hash: string;
  plan_summary: string;
  targets: { item_id: string; name: string }[];
  requested_by: string;
  requested_by_name: string;
  requested_at: string;
  expires_at: string;
  decided_by_name: string | null;
  decided_at: string | null;
  decision_note: string | null;
  started_at: string | null;
  finished_at: string | null;
  version: number;
}

export const changesQuery = (filter: { state?: ChangeState; limit?: number }) =>
  queryOptions({
    queryKey: ['changes', 'list', filter],
    queryFn: () => body<Page<Change>>(api.GET('/api/v1/changes', { params: { query: filter } })),
    placeholderData: keepPreviousData,
  });

const decision = (change: Change, note: string) => ({
  params: { path: { id: change.id } },
  body: { version: change.version, note },
});
export const approveChange = (change: Change, note: string) =>
  body<Change>(api.POST('/api/v1/changes/{id}/approve', decision(change, note)));
export const rejectChange = (change: Change, note: string) =>
  body<Change>(api.POST('/api/v1/changes/{id}/reject', decision(change, note)));

/** A time in which covered items are left alone. */
export interface Freeze {
  id: string;
  title: string;
  /** Covers items that carry all of these; everything when empty. */
  tags: Labels;
  starts_at: string;
  ends_at: string;
  /** Low-risk remediation of an alert may go on. */
  allows_remediation: boolean;
  created_at: string;
}

/** The hours of the week in which covered items may be changed at more than low risk. */
export interface ChangeWindow {
  id: string;
  title: string;
  tags: Labels;
  /** `mon` to `sun`: the day on which it opens. */
  days: string[];
  start_minute: number;
  /** Not after the start means the next day. */
  end_minute: number;
  time_zone: string;
  created_at: string;
}

export const freezesQuery = queryOptions({
  queryKey: ['freezes'],
  queryFn: () => body<Freeze[]>(api.GET('/api/v1/freezes')),
});
export const windowsQuery = queryOptions({
  queryKey: ['change-windows'],
  queryFn: () => body<ChangeWindow[]>(api.GET('/api/v1/change-windows')),
});

export const createFreeze = (freeze: Omit<Freeze, 'id' | 'created_at'>) =>
  body<Freeze>(api.POST('/api/v1/freezes', { body: freeze }));
export const endFreeze = (id: string) => body<void>(api.POST('/api/v1/freezes/{id}/end', { params: { path: { id } } }));
export const createWindow = (window: Omit<ChangeWindow, 'id' | 'created_at'>) =>
  body<ChangeWindow>(api.POST('/api/v1/change-windows', { body: window }));
export const deleteWindow = (id: string) =>
  body<void>(api.DELETE('/api/v1/change-windows/{id}', { params: { path: { id } } }));
