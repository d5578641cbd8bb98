/** The health of every host, from its agent and the alerts that fire on it or on what runs there. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type Alert, alertsQuery } from '@/api/alerting';
import { type Agent, agentsQuery } from '@/api/fleet';
import { type Item, itemsQuery } from '@/api/inventory';
import type { Status } from '@/api/types';
import { ofSeverity, worst } from './status';

export interface HostHealth {
  item: Item;
  agent: Agent | null;
  alerts: Alert[];
  status: Status;
  word: string;
}

export function healthOf(item: Item, agent: Agent | null, alerts: Alert[]): { status: Status; word: string } {
  const loud = alerts.filter((a) => !a.silenced_by && !a.suppressed_by);
  if (agent?.state === 'active' && agent.presence === 'lost') return { status: 'critical', word: 'not heard of' };
  const status = worst(loud.map((a) => ofSeverity(a.severity)).filter((s) => s !== 'unknown'));
  const first = loud.find((a) => ofSeverity(a.severity) === status);
  if (status !== 'ok' && first) return { status, word: first.annotations.summary ?? first.name };
  if (alerts.some((a) => a.suppressed_by)) return { status: 'maintenance', word: 'in maintenance' };
  if (!agent) return { status: 'unknown', word: item.retired_at ? 'retired' : 'no agent' };
  if (agent.state !== 'active') return { status: 'unknown', word: `agent ${agent.state}` };
  if (agent.presence !== 'connected')
    return { status: 'unknown', word: agent.presence === 'new' ? 'not yet connected' : 'disconnected' };
  return { status: 'ok', word: 'OK' };
}

export function useHosts(): { hosts: HostHealth[] | undefined; error: unknown; retry: () => void } {
  const items = useQuery(itemsQuery('kind=host', 500));
  const agents = useQuery(agentsQuery);
  const alerts = useQuery(alertsQuery({ state: 'firing', limit: 500 }));
  const hosts = useMemo(() => {
    // Until the agents are read, nothing is said of any host: no host is ill because an answer is late.
    if (!items.data || (!agents.data && !agents.isError)) return undefined;
    const byItem = new Map((agents.data?.items ?? []).flatMap((a) => (a.item_id ? [[a.item_id, a] as const] : [])));
    return items.data.items.map((item): HostHealth => {
      const own = (alerts.data?.items ?? []).filter((a) => a.item_id === item.id || a.labels.instance === item.name);
      const agent = byItem.get(item.id) ?? null;
      const health = agents.data ? healthOf(item, agent, own) : { status: 'unknown' as Status, word: '' };
      return { item, agent, alerts: own, ...health };
    });
  }, [items.data, agents.data, agents.isError, alerts.data]);
  return { hosts, error: items.error, retry: () => void items.refetch() };
}
