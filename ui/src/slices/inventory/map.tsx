/** Services and who calls whom, from the sockets that hosts see; health-coloured, with nothing to set up. */
import { SegmentedControl, Switch } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { alertsQuery } from '@/api/alerting';
import { itemsQuery, type MapNode, mapQuery, type ServiceMap } from '@/api/inventory';
import type { Status } from '@/api/types';
import { Card, Headline } from '@/parts/card';
import { useDrawer } from '@/parts/drawer';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { ofService, ofSeverity, worst } from '@/parts/status';
import { useParam } from '@/parts/url';
import { group } from './layout';
import { type MapBox, MapDrawing } from './mapDrawing';
import { MapTable } from './mapTable';

/** The worst of the alerts on a node, else the state of the service itself. */
function useStatuses(nodes: MapNode[]): Map<string, Status> {
  const alerts = useQuery(alertsQuery({ state: 'firing', muted: false, limit: 500 })).data?.items;
  const services = useQuery(itemsQuery('kind=service', 500)).data?.items;
  return useMemo(() => {
    const state = new Map((services ?? []).map((s) => [s.id, String(s.attributes.state?.value ?? '')]));
    return new Map(
      nodes.map((node) => {
        const own = (alerts ?? []).filter(
          (a) => a.item_id === node.id || (a.labels.name === node.name && a.labels.instance === node.host_name),
        );
        const said = state.get(node.id);
        const self: Status = said ? ofService(said) : 'ok';
        return [
          node.id,
          worst([self === 'unknown' && said !== 'inactive' ? 'ok' : self, ...own.map((a) => ofSeverity(a.severity))]),
        ];
      }),
    );
  }, [nodes, alerts, services]);
}

const NONE: MapNode[] = [];

export function Services() {
  const map = useQuery(mapQuery);
  const statuses = useStatuses(map.data?.nodes ?? NONE);
  const nodes = map.data?.nodes;
  const ill = (nodes ?? []).filter((n) => ['critical', 'warning'].includes(statuses.get(n.id) ?? 'ok'));
  const worstOne = ill.find((n) => statuses.get(n.id) === 'critical') ?? ill[0];
  return (
    <>
      <Headline
        tab="Services"
        title={
          !nodes
            ? 'Services'
            : nodes.length === 0
              ? 'No service talks to another yet'
              : ill.length === 0
                ? `All ${plural(nodes.length, 'service')} hold`
                : ill.length === 1
                  ? `${worstOne?.name} on ${worstOne?.host_name} is ill; the rest holds`
                  : `${ill.length} of ${plural(nodes.length, 'service')} are ill`
        }
        lede="Drawn from the connections that hosts see. Choose one to see who suffers when it dies."
      />
      <Shown
        query={map}
        what="The map"
        rows={6}
        empty={{
          when: (m) => m.nodes.length === 0,
          show: (
            <div className="card below">
              <Empty title="No connection between services has been seen">
                Agents look at sockets every few minutes; a service that talks to another on a watched host appears here
                by itself.
              </Empty>
            </div>
          ),
        }}
      >
        {(data) => <Loaded map={data} statuses={statuses} />}
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
            label="One box for each name"
            checked={grouped === 'yes'}
            onChange={(e) => setGrouped(e.currentTarget.checked ? 'yes' : 'no')}
          />
        )}
      </div>
      <div className="below">
        <Card
          title={view === 'map' ? 'Who calls whom' : 'Connections'}
          aside={
            view === 'map'
              ? `${plural(boxes.length, 'service')}, ${plural(arrows.length, 'connection')}${map.is_cut ? ', cut short' : ''}`
              : map.is_cut
                ? 'cut short'
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
        status: worst(g.members.map((m) => statuses.get(m) ?? 'ok')),
        item: g.members.length === 1 ? (g.members[0] ?? null) : null,
      };
    });
  } else {
    boxes = map.nodes.map((n) => {
      of.set(n.id, n.id);
      return { id: n.id, name: n.name, sub: n.host_name ?? n.kind, status: statuses.get(n.id) ?? 'ok', item: n.id };
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
