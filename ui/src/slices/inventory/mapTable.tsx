/** The same facts as a table. */
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { useMemo } from 'react';
import { agentsQuery } from '@/api/fleet';
import type { MapEdge, MapNode, ServiceMap } from '@/api/inventory';
import type { Status } from '@/api/types';
import { plural } from '@/parts/number';
import { StatusBadge, WORD } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';

interface Row {
  edge: MapEdge;
  from: MapNode;
  to: MapNode;
}

export function MapTable({ map, statuses }: { map: ServiceMap; statuses: Map<string, Status> }) {
  const router = useRouter();
  const rows = useMemo(() => {
    const node = new Map(map.nodes.map((n) => [n.id, n]));
    return map.edges.flatMap((edge): Row[] => {
      const from = node.get(edge.from);
      const to = node.get(edge.to);
      return from && to ? [{ edge, from, to }] : [];
    });
  }, [map]);
  const agents = useQuery(agentsQuery).data?.items;
  const columns = useMemo((): Column<Row>[] => {
    const host = new Map((agents ?? []).map((a) => [`agent:${a.id}`, a.name]));
    const seenBy = (edge: MapEdge) =>
      edge.sources.map((s) => (host.has(s) ? `agent on ${host.get(s)}` : (s.split(':')[0] ?? s))).join(', ');
    const shown = (n: MapNode) => (
      <StatusBadge status={statuses.get(n.id) ?? 'unknown'}>
        <span className="text">{n.name}</span>
        {n.host_name && <span className="muted narrow">on {n.host_name}</span>}
      </StatusBadge>
    );
    return [
      { id: 'from', head: 'Caller', value: (r) => r.from.name, cell: (r) => shown(r.from) },
      { id: 'fromHost', head: 'on', value: (r) => r.from.host_name, wide: true },
      { id: 'kind', head: 'Relation', value: (r) => r.edge.kind.replaceAll('_', ' '), roomy: true },
      { id: 'to', head: 'Dependency', value: (r) => r.to.name, cell: (r) => shown(r.to) },
      { id: 'toHost', head: 'on', value: (r) => r.to.host_name, wide: true },
      { id: 'status', head: 'Dependency status', value: (r) => WORD[statuses.get(r.to.id) ?? 'unknown'], wide: true },
      {
        id: 'sources',
        head: 'Source',
        value: (r) => seenBy(r.edge),
        cell: (r) => <span className="muted">{seenBy(r.edge)}</span>,
        roomy: true,
      },
    ];
  }, [statuses, agents]);
  return (
    <DataTable
      rows={rows}
      columns={columns}
      id={(r) => `${r.edge.from} ${r.edge.kind} ${r.edge.to}`}
      label="Connections"
      csv="connections"
      sort="from"
      aside={plural(rows.length, 'connection')}
      open={(r) => router.history.push(`/items/${r.to.id}`)}
    />
  );
}
