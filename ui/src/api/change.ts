/** Changes and freezes. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, body } from './client';
import type { Page } from './types';

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
