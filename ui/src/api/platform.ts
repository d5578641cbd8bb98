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

/** An event that a consumer failed to process, kept until somebody retries or dismisses it. */
export interface ParkedEvent {
  consumer: string;
  seq: number;
  error: string;
  parked_at: string;
  /** Absent when the event itself is no longer kept. */
  topic: string | null;
  subject: string | null;
  at: string | null;
}

export const parkedEventsQuery = queryOptions({
  queryKey: ['parked-events'],
  queryFn: () => body<{ items: ParkedEvent[]; next: string | null }>(api.GET('/api/v1/parked-events')),
  refetchInterval: 15_000,
});
const path = (event: ParkedEvent) => ({ params: { path: { consumer: event.consumer, seq: event.seq } } });
export const retryParkedEvent = (event: ParkedEvent) =>
  body<void>(api.POST('/api/v1/parked-events/{consumer}/{seq}/retry', path(event)));
export const dismissParkedEvent = (event: ParkedEvent) =>
  body<void>(api.DELETE('/api/v1/parked-events/{consumer}/{seq}', path(event)));
