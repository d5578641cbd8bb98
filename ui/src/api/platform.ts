/** The server itself: what runs, and the copies of its data folder. */
import { queryOptions } from '@tanstack/react-query';
import { api, body } from './client';

export interface Snapshot {
  name: string;
  /** On the server's disk. */
  path: string;
  made_at: string;
  bytes: number;
  files: number;
  has_state: boolean;
}

export const snapshotsQuery = queryOptions({
  queryKey: ['snapshots'],
  queryFn: () => body<Snapshot[]>(api.GET('/api/v1/snapshots')),
});
export const createSnapshot = () => body<Snapshot>(api.POST('/api/v1/snapshots'));

/** Where links in messages and join commands lead. */
export const addressQuery = queryOptions({
  queryKey: ['address'],
  queryFn: () => body<{ public_url: string; is_loopback: boolean }>(api.GET('/api/v1/address')),
  staleTime: 5 * 60_000,
});

/** As Prometheus tells it: `revision` is this program's name and version. */
export const buildQuery = queryOptions({
  queryKey: ['build'],
  queryFn: async () =>
    (await body<{ data: { version: string; revision: string } }>(api.GET('/api/v1/status/buildinfo'))).data,
  staleTime: Number.POSITIVE_INFINITY,
});
