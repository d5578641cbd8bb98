/** The event log. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, body } from './client';
import type { Event, Page } from './types';

export interface EventFilter {
  topic?: string;
  subject?: string;
  actor?: string;
  from?: string;
  to?: string;
  limit?: number;
  cursor?: string;
}

export const eventsQuery = (filter: EventFilter) =>
  queryOptions({
    queryKey: ['events', 'list', filter],
    queryFn: () => body<Page<Event>>(api.GET('/api/v1/events', { params: { query: filter } })),
    placeholderData: keepPreviousData,
  });

export const chainQuery = (seq: number) =>
  queryOptions({
    queryKey: ['events', 'chain', seq],
    queryFn: () => body<Event[]>(api.GET('/api/v1/events/{seq}/chain', { params: { path: { seq } } })),
  });

/** The timeline page by page. It is read again only when asked for: rows must not move under the pointer. */
export const eventsPage = (filter: EventFilter) =>
  infiniteQueryOptions({
    queryKey: ['timeline', filter],
    queryFn: ({ pageParam }) =>
      body<Page<Event>>(api.GET('/api/v1/events', { params: { query: { ...filter, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    staleTime: 60_000,
  });
