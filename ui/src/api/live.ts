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
/** Keys that are being read again, and whether once more is needed: an event came meanwhile. */
const reading = new Map<string, { again: boolean }>();
const GATHER_MS = 120;

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
  for (const key of concerned(event.topic)) {
    const going = reading.get(key);
    if (going) going.again = true;
    else void readAgain(key);
  }
}

/**
 * Reads again what an event concerns. A read that goes on is waited for, never cut short: in a flood of events a slow answer would
 * otherwise never arrive. What came meanwhile is read after it, so nothing is missed.
 */
async function readAgain(key: string) {
  const state = { again: true };
  reading.set(key, state);
  while (state.again) {
    await new Promise((wake) => window.setTimeout(wake, GATHER_MS));
    const old = (client?.isFetching({ queryKey: [key] }) ?? 0) > 0;
    state.again = old;
    await client?.invalidateQueries({ queryKey: [key] }, { cancelRefetch: false });
  }
  reading.delete(key);
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

/** A device that loses its network is told so at once; the stream itself notices only minutes later. */
function lose() {
  if (feed.state === 'paused') return;
  stopFeed();
  become({ state: 'stale', since: Date.now() });
}

function find() {
  if (feed.state === 'stale' && !source) open();
}

export function startFeed(queries: QueryClient) {
  client = queries;
  window.addEventListener('offline', lose);
  window.addEventListener('online', find);
  if (!source && feed.state !== 'paused') open();
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
