/** A host's services, the sockets they listen on, and its interfaces. */
import { useQuery } from '@tanstack/react-query';
import {
  attribute,
  attributeNumber,
  attributeText,
  type Item,
  type ItemDetail,
  type Listener,
  listenersQuery,
} from '@/api/inventory';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { bits, plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { ofService, StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { PartTable } from './partTable';

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
    head: 'Description',
    value: (i) => attributeText(i, 'description'),
    cell: (i) => <span className="muted">{attributeText(i, 'description')}</span>,
    wide: true,
  },
  {
    id: 'listening',
    head: 'Listening on',
    value: (i) => listening(i).join(' '),
    cell: (i) => <span className="mono">{listening(i).slice(0, 3).join(', ')}</span>,
    wide: true,
  },
  {
    id: 'manager',
    head: 'Manager',
    value: (i) => attributeText(i, 'manager'),
    cell: (i) => <span className="muted">{attributeText(i, 'manager')}</span>,
    roomy: true,
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
    <PartTable host={host} kind="service" title="Services" columns={SERVICES} sort="name" empty="No services found" />
  );
}

/** Who listens: the service that is known, else the process, else nobody that the agent could read. */
export const ownerOf = (listener: Listener): string => listener.service?.name ?? listener.process ?? '';

/** Where a socket can be reached from, by the address that it is bound to. */
export function reachOf(address: string): string {
  if (/^(127\.|\[?::1\]?$|\[?::ffff:127\.)/.test(address)) return 'this host only';
  return /^(0\.0\.0\.0|\[?::\]?)$/.test(address) ? 'all networks' : 'the network of this address';
}

const LISTENERS: Column<Listener>[] = [
  { id: 'port', head: 'Port', number: true, value: (l) => l.port, width: 90 },
  { id: 'protocol', head: 'Protocol', value: (l) => l.protocol, width: 100, wide: true },
  { id: 'address', head: 'Address', value: (l) => l.address, cell: (l) => <span className="mono">{l.address}</span> },
  {
    id: 'owner',
    head: 'Owner',
    value: ownerOf,
    cell: (l) => {
      if (!ownerOf(l)) return <span className="faint">unknown</span>;
      return l.service ? (
        <b className="break">{l.service.name}</b>
      ) : (
        <span className="break">
          {l.process} <span className="muted">process</span>
        </span>
      );
    },
    main: true,
  },
  {
    id: 'reach',
    head: 'Reachable from',
    value: (l) => reachOf(l.address),
    cell: (l) => <span className="muted">{reachOf(l.address)}</span>,
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
  {
    id: 'speed',
    head: 'Speed',
    value: (i) => attributeNumber(i, 'speed_mbit'),
    cell: (i) => bits((attributeNumber(i, 'speed_mbit') ?? Number.NaN) * 1e6),
    number: true,
    wide: true,
  },
];

export function Network({ host }: { host: ItemDetail }) {
  const listeners = useQuery(listenersQuery(host.id));
  return (
    <>
      <div className="below">
        <Card title="Listening ports" flush>
          <Shown
            query={listeners}
            what="Listening ports"
            empty={{
              when: (l) => l.length === 0,
              show: <Empty title="No listening ports">Sockets are read with the inventory, every few minutes.</Empty>,
            }}
          >
            {(list) => (
              <DataTable
                rows={list}
                columns={LISTENERS}
                id={(l) => `${l.protocol} ${l.address} ${l.port}`}
                label="Listening ports"
                csv={`${host.name}-ports`}
                sort="port"
                param="sort-port"
                aside={plural(list.length, 'socket')}
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
        empty="No interfaces found"
      />
    </>
  );
}
