/** Names for the ids that events and items carry: teams, and services with their hosts. Read only when one is asked for. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { teamsQuery } from '@/api/access';
import { mapQuery } from '@/api/inventory';
import type { Event } from '@/api/types';

const values = (event: Event) => Object.values(event.data ?? {}).filter((v): v is string => typeof v === 'string');

/** Names by id for what the events name by id alone. */
export function useNames(events: Event[]): Map<string, string> {
  const wantsTeams = events.some((e) => values(e).some((v) => v.startsWith('team_')));
  const wantsItems = events.some((e) => e.topic.startsWith('relation.'));
  const teams = useQuery({ ...teamsQuery, enabled: wantsTeams }).data?.items;
  const nodes = useQuery({ ...mapQuery, enabled: wantsItems }).data?.nodes;
  return useMemo(
    () =>
      new Map([
        ...(teams ?? []).map((t) => [t.id, t.name] as const),
        ...(nodes ?? []).map(
          (n) => [n.id, n.host_name && n.host_name !== n.name ? `${n.name} on ${n.host_name}` : n.name] as const,
        ),
      ]),
    [teams, nodes],
  );
}

export function useTeamName(id: string | null): string | null {
  const teams = useQuery({ ...teamsQuery, enabled: id !== null }).data?.items;
  return teams?.find((t) => t.id === id)?.name ?? null;
}

/** On which host each service of the map runs, by the service's id. */
export function useHostNames(wanted: boolean): Map<string, string> {
  const nodes = useQuery({ ...mapQuery, enabled: wanted }).data?.nodes;
  return useMemo(() => new Map((nodes ?? []).flatMap((n) => (n.host_name ? [[n.id, n.host_name]] : []))), [nodes]);
}
