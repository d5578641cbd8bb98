/** Joins that wait for an approval: machines that show the identity of a known host. */
import { queryOptions } from '@tanstack/react-query';
import { api, body } from './client';
import type { Page } from './types';

export interface JoinRequest {
  id: string;
  state: 'pending' | 'approved' | 'denied' | 'used';
  reason: 'live' | 'foreign';
  item_id: string;
  name: string;
  hostname: string;
  address: string;
  version: string;
  join_token: string;
  attempts: number;
  created_at: string;
  seen_at: string;
}

export const joinRequestsQuery = queryOptions({
  queryKey: ['join-requests'],
  queryFn: () => body<Page<JoinRequest>>(api.GET('/api/v1/join-requests')),
  refetchInterval: 30_000,
});

const path = (id: string) => ({ params: { path: { id } } });
export const approveJoin = (id: string) => body<JoinRequest>(api.POST('/api/v1/join-requests/{id}/approve', path(id)));
export const denyJoin = (id: string) => body<JoinRequest>(api.POST('/api/v1/join-requests/{id}/deny', path(id)));
