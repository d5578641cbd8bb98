/** What is on a host: services, sockets and interfaces, disks, certificates. */
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { useMemo } from 'react';
import { attribute, attributeNumber, attributeText, type Item, type ItemDetail, itemsQuery } from '@/api/inventory';
import { instantQuery, type Series } from '@/api/telemetry';
import type { Status } from '@/api/types';
import { Ago } from '@/parts/ago';
import { Card, Meter } from '@/parts/card';
import { bytes, percent, plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { ofService, StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { span } from '@/parts/time';

function useParts(host: ItemDetail, kind: string) {
  return useQuery(itemsQuery(`kind=${kind} on=${JSON.stringify(host.name)}`, 500));
}

function PartTable({
  host,
  kind,
  title,
  columns,
  empty,
  sort,
}: {
  host: ItemDetail;
  kind: string;
  title: string;
  columns: Column<Item>[];
  empty: string;
  sort?: string;
}) {
  const parts = useParts(host, kind);
  const router = useRouter();
  return (
    <div className="below">
      <Card title={title} flush>
        <Shown query={parts} what={title} empty={{ when: (p) => p.items.length === 0, show: <Empty title={empty} /> }}>
          {(page) => (
            <DataTable
              rows={page.items}
              columns={columns}
              id={(i) => i.id}
              label={title}
              csv={`${host.name}-${kind}`}
              sort={sort}
              param={`sort-${kind}`}
              aside={plural(page.items.length, 'row')}
              open={(i) => router.history.push(`/items/${i.id}`)}
            />
          )}
        </Shown>
      </Card>
    </div>
  );
}

const listening = (item: Item) => {
  const value = attribute(item, 'listening');
  return Array.isArray(value) ? value.map(String) : [];
};

const SERVICES: Column<Item>[] = [
  {
    id: 'state',
    head: 'State',
    value: (i) => attributeText(i, 'state'),
    cell: (i) => <StatusBadge status={ofService(attributeText(i, 'state'))}>{attributeText(i, 'state')}</StatusBadge>,
    width: 130,
  },
  { id: 'name', head: 'Service', value: (i) => i.name, cell: (i) => <b className="break">{i.name}</b> },
  {
    id: 'description',
    head: 'What it is',
    value: (i) => attributeText(i, 'description'),
    cell: (i) => <span className="muted">{attributeText(i, 'description')}</span>,
    wide: true,
  },
  {
    id: 'listening',
    head: 'Listens on',
    value: (i) => listening(i).join(' '),
    cell: (i) => <span className="mono">{listening(i).slice(0, 3).join(', ')}</span>,
    wide: true,
  },
  {
    id: 'manager',
    head: 'Manager',
    value: (i) => attributeText(i, 'manager'),
    cell: (i) => <span className="muted">{attributeText(i, 'manager')}</span>,
    wide: true,
  },
  {
    id: 'started',
    head: 'Started',
    value: (i) => attributeText(i, 'started_at'),
    cell: (i) =>
      attributeText(i, 'started_at') ? <Ago at={attributeText(i, 'started_at')} /> : <span className="faint">–</span>,
    number: true,
  },
];

export function Services({ host }: { host: ItemDetail }) {
  return (
    <PartTable
      host={host}
      kind="service"
      title="Services"
      columns={SERVICES}
      sort="name"
      empty="No service has been found"
    />
  );
}

interface Socket {
  key: string;
  protocol: string;
  address: string;
  port: number;
  service: string;
}

/** `tcp 0.0.0.0:443` and `tcp [::]:443`. */
export function socket(text: string, service: string): Socket | null {
  const found = /^(\w+) (.*):(\d+)$/.exec(text);
  if (!found) return null;
  return {
    key: `${service} ${text}`,
    protocol: found[1] ?? '',
    address: found[2] ?? '',
    port: Number(found[3]),
    service,
  };
}

const SOCKETS: Column<Socket>[] = [
  {
    id: 'port',
    head: 'Port',
    number: true,
    value: (s) => s.port,
    cell: (s) => <b className="num">{s.port}</b>,
    width: 90,
  },
  { id: 'protocol', head: 'Protocol', value: (s) => s.protocol, width: 100 },
  { id: 'address', head: 'Address', value: (s) => s.address, cell: (s) => <span className="mono">{s.address}</span> },
  { id: 'service', head: 'Service', value: (s) => s.service },
  {
    id: 'reach',
    head: 'Reachable from',
    value: (s) => (/^(127\.|\[?::1)/.test(s.address) ? 'this host' : 'the network'),
    cell: (s) => <span className="muted">{/^(127\.|\[?::1)/.test(s.address) ? 'this host' : 'the network'}</span>,
  },
];

const INTERFACES: Column<Item>[] = [
  {
    id: 'up',
    head: 'State',
    value: (i) => (attribute(i, 'up') ? 'up' : 'down'),
    cell: (i) => (
      <StatusBadge status={attribute(i, 'up') ? 'ok' : 'unknown'}>{attribute(i, 'up') ? 'up' : 'down'}</StatusBadge>
    ),
    width: 130,
  },
  { id: 'name', head: 'Interface', value: (i) => i.name, cell: (i) => <b>{i.name}</b> },
  {
    id: 'addresses',
    head: 'Addresses',
    value: (i) => String(attribute(i, 'addresses') ?? ''),
    cell: (i) => <span className="mono break">{[attribute(i, 'addresses') ?? []].flat().join(', ')}</span>,
  },
  {
    id: 'mac',
    head: 'MAC',
    value: (i) => attributeText(i, 'mac'),
    cell: (i) => <span className="mono">{attributeText(i, 'mac')}</span>,
    wide: true,
  },
  { id: 'speed', head: 'Speed, Mbit/s', value: (i) => attributeNumber(i, 'speed_mbit'), number: true, wide: true },
];

export function Network({ host }: { host: ItemDetail }) {
  const services = useParts(host, 'service');
  const sockets = useMemo(
    () => (services.data?.items ?? []).flatMap((s) => listening(s).flatMap((text) => socket(text, s.name) ?? [])),
    [services.data],
  );
  return (
    <>
      <div className="below">
        <Card title="Listening ports" flush>
          <Shown
            query={services}
            what="Listening ports"
            empty={{
              when: () => sockets.length === 0,
              show: <Empty title="No service listens">Sockets are read with the inventory, every few minutes.</Empty>,
            }}
          >
            {() => (
              <DataTable
                rows={sockets}
                columns={SOCKETS}
                id={(s) => s.key}
                label="Listening ports"
                csv={`${host.name}-ports`}
                sort="port"
                param="sort-port"
                aside={plural(sockets.length, 'socket')}
              />
            )}
          </Shown>
        </Card>
      </div>
      <PartTable
        host={host}
        kind="interface"
        title="Interfaces"
        columns={INTERFACES}
        sort="name"
        empty="No interface has been found"
      />
    </>
  );
}

const byMount = (series: Series[] | undefined) =>
  new Map((series ?? []).map((s) => [s.labels.mountpoint ?? '', s.points[0]?.[1] ?? Number.NaN]));

export function Disks({ host }: { host: ItemDetail }) {
  const on = `{instance=${JSON.stringify(host.name)}}`;
  const used = useQuery(
    instantQuery(`1 - node_filesystem_avail_bytes${on} / node_filesystem_size_bytes${on}`, 10_000),
  ).data;
  const days = useQuery(
    instantQuery(`node_filesystem_avail_bytes${on} / -deriv(node_filesystem_avail_bytes${on}[1h]) > 0`, 60_000),
  ).data;
  const columns = useMemo((): Column<Item>[] => {
    const [u, d] = [byMount(used), byMount(days)];
    return [
      { id: 'name', head: 'Mounted at', value: (i) => i.name, cell: (i) => <b className="mono break">{i.name}</b> },
      {
        id: 'used',
        head: 'Used',
        number: true,
        value: (i) => u.get(i.name),
        cell: (i) => {
          const share = u.get(i.name);
          if (share === undefined) return <span className="faint">no data</span>;
          return (
            <span className="row tight" style={{ justifyContent: 'flex-end' }}>
              <span className="grow" style={{ maxWidth: 120 }}>
                <Meter
                  ratio={share}
                  status={share > 0.95 ? 'critical' : share > 0.85 ? 'warning' : undefined}
                  label={`${i.name} used`}
                />
              </span>
              {percent(share)}
            </span>
          );
        },
      },
      {
        id: 'full',
        head: 'Full in, at this pace',
        number: true,
        value: (i) => d.get(i.name),
        cell: (i) => {
          const s = d.get(i.name);
          return s !== undefined && s < 90 * 86_400 ? span(s, true) : <span className="faint">not soon</span>;
        },
        wide: true,
      },
      {
        id: 'size',
        head: 'Size',
        number: true,
        value: (i) => attributeNumber(i, 'size_bytes'),
        cell: (i) => bytes(attributeNumber(i, 'size_bytes') ?? Number.NaN),
      },
      {
        id: 'device',
        head: 'Device',
        value: (i) => attributeText(i, 'device'),
        cell: (i) => <span className="mono muted">{attributeText(i, 'device')}</span>,
        wide: true,
      },
      { id: 'fs', head: 'File system', value: (i) => attributeText(i, 'fs_type'), wide: true },
    ];
  }, [used, days]);
  return (
    <PartTable host={host} kind="disk" title="Disks" columns={columns} sort="name" empty="No disk has been found" />
  );
}

function ends(item: Item): { status: Status; word: string } {
  const left = (Date.parse(attributeText(item, 'not_after')) - Date.now()) / 1000;
  if (Number.isNaN(left)) return { status: 'unknown', word: 'unknown' };
  if (left < 0) return { status: 'critical', word: `expired ${span(-left, true)} ago` };
  return {
    status: left < 7 * 86_400 ? 'critical' : left < 30 * 86_400 ? 'warning' : 'ok',
    word: `in ${span(left, true)}`,
  };
}

const CERTIFICATES: Column<Item>[] = [
  {
    id: 'end',
    head: 'Expires',
    value: (i) => attributeText(i, 'not_after'),
    cell: (i) => <StatusBadge status={ends(i).status}>{ends(i).word}</StatusBadge>,
    width: 150,
  },
  {
    id: 'subject',
    head: 'Subject',
    value: (i) => attributeText(i, 'subject'),
    cell: (i) => <b className="break">{attributeText(i, 'subject') || i.name}</b>,
  },
  {
    id: 'names',
    head: 'Names',
    value: (i) => String(attribute(i, 'names') ?? ''),
    cell: (i) => <span className="muted break">{[attribute(i, 'names') ?? []].flat().slice(0, 4).join(', ')}</span>,
    wide: true,
  },
  {
    id: 'issuer',
    head: 'Issuer',
    value: (i) => attributeText(i, 'issuer'),
    cell: (i) => <span className="muted break">{attributeText(i, 'issuer')}</span>,
    wide: true,
  },
  { id: 'path', head: 'File', value: (i) => i.name, cell: (i) => <span className="mono break">{i.name}</span> },
];

export function Certificates({ host }: { host: ItemDetail }) {
  return (
    <PartTable
      host={host}
      kind="certificate"
      title="Certificates"
      columns={CERTIFICATES}
      sort="end"
      empty="No certificate has been found"
    />
  );
}
