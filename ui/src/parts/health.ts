/** The health of every host, from its agent and the alerts that fire on it or on what runs there. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type Alert, firingAlertsQuery } from '@/api/alerting';
import { type Agent, agentsQuery } from '@/api/fleet';
import { hostItemsQuery, type Item } from '@/api/inventory';
import type { Status } from '@/api/types';
import { plural } from './number';
import { ofService, ofSeverity, worst } from './status';

export interface HostHealth {
  item: Item;
  agent: Agent | null;
  alerts: Alert[];
  status: Status;
  word: string;
}

export const isMuted = (alert: Alert) => Boolean(alert.silenced_by || alert.suppressed_by);

/** An agent is expected to report, and does not. */
export const isStale = (agent: Agent | null): boolean =>
  agent !== null && agent.state === 'active' && agent.presence !== 'connected' && agent.presence !== 'new';

/**
 * The worst of what is known. "OK" is said only of a host whose agent reports and on which nothing fires, muted or not; without an
 * answer about its alerts nothing is known.
 */
export function healthOf(item: Item, agent: Agent | null, alerts: Alert[] | null): { status: Status; word: string } {
  if (agent?.state === 'active' && agent.presence === 'lost') return { status: 'critical', word: 'stopped reporting' };
  if (alerts === null) return { status: 'unknown', word: 'alerts cannot be read' };
  const firing = alerts.filter((a) => a.state === 'firing');
  const loud = firing.filter((a) => !isMuted(a));
  const status = worst(loud.map((a) => ofSeverity(a.severity)).filter((s) => s !== 'unknown'));
  const first = loud.find((a) => ofSeverity(a.severity) === status);
  if (status !== 'ok' && first) return { status, word: first.annotations.summary ?? first.name };
  if (isStale(agent)) return { status: 'unknown', word: 'disconnected' };
  if (firing.some((a) => a.suppressed_by)) return { status: 'maintenance', word: 'in maintenance' };
  const silenced = firing.filter((a) => a.silenced_by && ofSeverity(a.severity) !== 'unknown').length;
  if (silenced > 0) return { status: 'maintenance', word: plural(silenced, 'silenced alert') };
  if (!agent) return { status: 'unknown', word: item.retired_at ? 'retired' : 'no agent' };
  if (agent.state !== 'active') return { status: 'unknown', word: `agent ${agent.state}` };
  if (agent.presence !== 'connected') return { status: 'unknown', word: 'not yet connected' };
  return { status: 'ok', word: firing.length > 0 ? `OK, ${plural(firing.length, 'info alert')}` : 'OK' };
}

function grouped<K, V>(list: V[], key: (value: V) => K | null | undefined): Map<K, V[]> {
  const groups = new Map<K, V[]>();
  for (const value of list) {
    const at = key(value);
    if (at === null || at === undefined) continue;
    const group = groups.get(at);
    if (group) group.push(value);
    else groups.set(at, [value]);
  }
  return groups;
}

export function useHosts(): { hosts: HostHealth[] | undefined; error: unknown; retry: () => void } {
  const items = useQuery(hostItemsQuery);
  const agents = useQuery(agentsQuery);
  const alerts = useQuery(firingAlertsQuery);
  const hosts = useMemo(() => {
    // Until agents and alerts are read, nothing is said of any host: none is ill, and none is OK, because an answer is late.
    if (!items.data || (!agents.data && !agents.isError) || (!alerts.data && !alerts.isError)) return undefined;
    const byItem = new Map((agents.data?.items ?? []).flatMap((a) => (a.item_id ? [[a.item_id, a] as const] : [])));
    const firing = alerts.data?.items ?? [];
    const ofItem = grouped(firing, (a) => a.item_id);
    const ofName = grouped(firing, (a) => a.labels.instance);
    return items.data.items.map((item): HostHealth => {
      const own = [...new Set([...(ofItem.get(item.id) ?? []), ...(ofName.get(item.name) ?? [])])];
      const agent = byItem.get(item.id) ?? null;
      const health = agents.data
        ? healthOf(item, agent, alerts.data ? own : null)
        : { status: 'unknown' as Status, word: 'agents cannot be read' };
      return { item, agent, alerts: own, ...health };
    });
  }, [items.data, agents.data, agents.isError, alerts.data, alerts.isError]);
  return { hosts, error: items.error, retry: () => void items.refetch() };
}

/** The health of one item, with the same rules as for hosts; `null` until what it is made from was read. */
export function useItemHealth(item: Item | undefined): { status: Status; word: string } | null {
  const alerts = useQuery(firingAlertsQuery);
  const agents = useQuery(agentsQuery);
  const isRead = (q: { data?: unknown; isError: boolean }) => q.data !== undefined || q.isError;
  if (!item || !isRead(alerts) || !isRead(agents)) return null;
  const own = (alerts.data?.items ?? []).filter(
    (a) => a.item_id === item.id || (item.kind === 'host' && a.labels.instance === item.name),
  );
  const host = item.kind === 'host' ? item.id : item.parent;
  const agent = agents.data?.items.find((a) => a.item_id === host) ?? null;
  if (item.state === 'retired') return { status: 'unknown', word: 'retired' };
  if (item.kind === 'host') return healthOf(item, agent, alerts.data ? own : null);
  return healthOfPart(item, agent, alerts.data ? own : null);
}

/** What is on a host, or stands by itself: what is known of it is as old as the last word of its host. */
export function healthOfPart(
  item: Item,
  agent: Agent | null,
  alerts: Alert[] | null,
): { status: Status; word: string } {
  if (alerts === null) return { status: 'unknown', word: 'alerts cannot be read' };
  const loud = alerts.filter((a) => !isMuted(a));
  const status = worst(loud.map((a) => ofSeverity(a.severity)).filter((s) => s !== 'unknown'));
  const first = loud.find((a) => ofSeverity(a.severity) === status);
  if (status !== 'ok' && first) return { status, word: first.annotations.summary ?? first.name };
  if (isStale(agent)) return { status: 'unknown', word: 'host not reporting' };
  if (alerts.some(isMuted)) return { status: 'maintenance', word: 'silenced or in maintenance' };
  const state = item.attributes.state?.value;
  if (typeof state === 'string' && state !== '') return { status: ofService(state), word: state };
  return { status: 'ok', word: 'No alerts firing' };
}
