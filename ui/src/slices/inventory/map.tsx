/** Services and who calls whom, from the sockets that hosts see; health-coloured, with nothing to set up. */
import { SegmentedControl, Switch } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { firingAlertsQuery } from '@/api/alerting';
import { type MapNode, mapQuery, type ServiceMap, serviceItemsQuery } from '@/api/inventory';
import type { Status } from '@/api/types';
import { Card, Headline } from '@/parts/card';
import { useDrawer } from '@/parts/drawer';
import { useHosts } from '@/parts/health';
import { plural } from '@/parts/number';
import { Empty, Shown, Skeleton } from '@/parts/states';
import { worst } from '@/parts/status';
import { useParam } from '@/parts/url';
import { group } from './layout';
import { type MapBox, MapDrawing } from './mapDrawing';
import { counts, headline, statusOf } from './mapStatus';
import { MapTable } from './mapTable';

const NONE: MapNode[] = [];

/** The status of every node of the map; `undefined` until what it is made from was read. */
function useStatuses(nodes: MapNode[]): Map<string, Status> | undefined {
  const alerts = useQuery(firingAlertsQuery);
  const services = useQuery(serviceItemsQuery);
  const { hosts } = useHosts();
  return useMemo(() => {
    if (!hosts || (!alerts.data && !alerts.isError) || (!services.data && !services.isError)) return undefined;
    const world = {
      alerts: alerts.data?.items ?? null,
      states: new Map((services.data?.items ?? []).map((s) => [s.id, String(s.attributes.state?.value ?? '')])),
      hosts: new Map(hosts.map((h) => [h.item.id, h])),
    };
    return new Map(nodes.map((node) => [node.id, statusOf(node, world)]));
  }, [nodes, hosts, alerts.data, alerts.isError, services.data, services.isError]);
}

export function Services() {
  const map = useQuery(mapQuery);
  const nodes = map.data?.nodes;
  const statuses = useStatuses(nodes ?? NONE);
  return (
    <>
      <Headline
        tab="Services"
        title={nodes && statuses ? headline(nodes, statuses) : 'Services'}
        lede="From the connections between hosts. Select a node to see its blast radius."
      />
      <Shown
        query={map}
        what="The map"
        rows={6}
        empty={{
          when: (m) => m.nodes.length === 0,
          show: (
            <div className="card below">
              <Empty title="No connections between services seen yet">
                Agents read sockets every few minutes. A service that connects to another on a monitored host appears
                here.
              </Empty>
            </div>
          ),
        }}
      >
        {(data) => (statuses ? <Loaded map={data} statuses={statuses} /> : <Skeleton rows={6} />)}
      </Shown>
    </>
  );
}

function Loaded({ map, statuses }: { map: ServiceMap; statuses: Map<string, Status> }) {
  const [view, setView] = useParam('view', 'map');
  const [grouped, setGrouped] = useParam('group', map.nodes.length > 24 ? 'yes' : 'no');
  const [chosen, choose] = useParam('at');
  const drawer = useDrawer();
  const { boxes, arrows } = useMemo(() => build(map, statuses, grouped === 'yes'), [map, statuses, grouped]);
  return (
    <>
      <div className="row wrap below">
        <SegmentedControl
          size="xs"
          aria-label="Show as"
          value={view}
          onChange={setView}
          data={[
            { value: 'map', label: 'Map' },
            { value: 'table', label: 'Table' },
          ]}
        />
        {view === 'map' && (
          <Switch
            size="xs"
            label="Group by name"
            checked={grouped === 'yes'}
            onChange={(e) => setGrouped(e.currentTarget.checked ? 'yes' : 'no')}
          />
        )}
      </div>
      <div className="below">
        <Card
          title={view === 'map' ? 'Service map' : 'Connections'}
          aside={
            view === 'map'
              ? `${counts(map.nodes)}, ${plural(arrows.length, 'connection')}${map.is_cut ? ', truncated' : ''}`
              : map.is_cut
                ? 'truncated'
                : undefined
          }
          flush
        >
          {view === 'map' ? (
            <MapDrawing
              boxes={boxes}
              arrows={arrows}
              chosen={chosen}
              choose={(id) => choose(id === chosen ? '' : id)}
              open={(box) => box.item && drawer(box.item)}
            />
          ) : (
            <MapTable map={map} statuses={statuses} />
          )}
        </Card>
      </div>
    </>
  );
}

const hostOf = (map: ServiceMap, id: string | undefined) => map.nodes.find((n) => n.id === id)?.host_name;

export function build(
  map: ServiceMap,
  statuses: Map<string, Status>,
  grouped: boolean,
): { boxes: MapBox[]; arrows: { from: string; to: string; count: number }[] } {
  const of = new Map<string, string>();
  let boxes: MapBox[];
  if (grouped) {
    boxes = group(map.nodes).map((g) => {
      for (const member of g.members) of.set(member, g.id);
      return {
        id: g.id,
        name: g.name,
        sub: g.members.length === 1 ? (hostOf(map, g.members[0]) ?? 'once') : `on ${plural(g.members.length, 'host')}`,
        status: worst(g.members.map((m) => statuses.get(m) ?? 'unknown')),
        item: g.members.length === 1 ? (g.members[0] ?? null) : null,
      };
    });
  } else {
    boxes = map.nodes.map((n) => {
      of.set(n.id, n.id);
      return {
        id: n.id,
        name: n.name,
        sub: n.host_name ?? n.kind,
        status: statuses.get(n.id) ?? 'unknown',
        item: n.id,
      };
    });
  }
  const counts = new Map<string, { from: string; to: string; count: number }>();
  for (const edge of map.edges) {
    const from = of.get(edge.from);
    const to = of.get(edge.to);
    if (!from || !to || from === to) continue;
    const known = counts.get(`${from} ${to}`);
    if (known) known.count++;
    else counts.set(`${from} ${to}`, { from, to, count: 1 });
  }
  return { boxes, arrows: [...counts.values()] };
}
