/** The event log. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
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
