/**
 * One event feed for the whole page. Each event makes the queries it concerns fetch again; pages may also listen.
 * The browser resumes after the last event it saw, so a short cut loses nothing.
 */
import type { QueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import type { Event } from './types';

/** Topic beginnings and the first words of the query keys that they concern. */
const CONCERNS: [string, string[]][] = [
  ['incident.', ['incidents', 'map']],
  ['alert.', ['alerts', 'incidents', 'hosts', 'map']],
  ['silence.', ['silences', 'alerts']],
  ['maintenance.', ['maintenance', 'alerts']],
  ['agent.', ['agents', 'hosts']],
  ['join_token.', ['join-tokens']],
  ['service.', ['items', 'hosts', 'map']],
  ['item.', ['items', 'hosts', 'map']],
  ['relation.', ['items', 'map']],
  ['run.', ['runs', 'incidents']],
  ['command.', ['runs', 'commands']],
  ['runbook.', ['runbooks']],
  ['change.', ['changes']],
  ['freeze.', ['freezes']],
  ['window.', ['change-windows']],
  ['message.', ['messages']],
  ['channel.', ['channels']],
  ['rule', ['rules']],
  ['person.', ['people']],
  ['team.', ['teams']],
  ['token.', ['tokens']],
  ['service_account.', ['service-accounts']],
];

export function concerned(topic: string): string[] {
  return ['events', ...CONCERNS.filter(([head]) => topic.startsWith(head)).flatMap(([, keys]) => keys)];
}

export type Feed = { state: 'connecting' | 'live' | 'paused' } | { state: 'stale'; since: number };

let feed: Feed = { state: 'connecting' };
const watchers = new Set<() => void>();
const listeners = new Set<(event: Event) => void>();
let source: EventSource | null = null;
let lastSeq: number | null = null;
let retry: number | undefined;
let client: QueryClient | null = null;
let dirty = new Set<string>();
let flush: number | undefined;

function become(next: Feed) {
  if (next.state === feed.state) return;
  feed = next;
  for (const watcher of watchers) watcher();
}

function take(message: MessageEvent<string>) {
  const event = JSON.parse(message.data) as Event;
  become({ state: 'live' });
  lastSeq = event.seq;
  for (const listener of listeners) listener(event);
  for (const key of concerned(event.topic)) dirty.add(key);
  if (flush !== undefined) return;
  flush = window.setTimeout(() => {
    const keys = dirty;
    dirty = new Set();
    flush = undefined;
    for (const key of keys) void client?.invalidateQueries({ queryKey: [key] });
  }, 120);
}

function open() {
  window.clearTimeout(retry);
  const after = lastSeq === null ? '' : `?after=${lastSeq}`;
  source = new EventSource(`/api/v1/events/stream${after}`);
  source.addEventListener('open', () => {
    const wasStale = feed.state === 'stale';
    become({ state: 'live' });
    if (wasStale) void client?.invalidateQueries();
  });
  source.addEventListener('event', take as EventListener);
  source.addEventListener('error', () => {
    become({ state: 'stale', since: Date.now() });
    if (source?.readyState === EventSource.CLOSED) {
      window.clearTimeout(retry);
      retry = window.setTimeout(open, 3000);
    }
  });
}

export function startFeed(queries: QueryClient) {
  client = queries;
  if (!source) open();
}

export function stopFeed() {
  window.clearTimeout(retry);
  source?.close();
  source = null;
}

/** Pausing keeps the page still; resuming catches up from the last event seen. */
export function togglePause() {
  if (feed.state === 'paused') {
    become({ state: 'connecting' });
    open();
    void client?.invalidateQueries();
  } else {
    stopFeed();
    become({ state: 'paused' });
  }
}

export function onEvent(listener: (event: Event) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useFeed(): Feed {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => feed,
  );
}
