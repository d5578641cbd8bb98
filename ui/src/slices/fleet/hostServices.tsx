/** A host's services, the sockets they listen on, and its interfaces. */
import { useMemo } from 'react';
import { attribute, attributeNumber, attributeText, type Item, type ItemDetail } from '@/api/inventory';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { bits, plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { ofService, StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { PartTable, useParts } from './partTable';

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
    width: 90,
  },
  { id: 'protocol', head: 'Protocol', value: (s) => s.protocol, width: 100, wide: true },
  { id: 'address', head: 'Address', value: (s) => s.address, cell: (s) => <span className="mono">{s.address}</span> },
  {
    id: 'service',
    head: 'Service',
    value: (s) => s.service,
    cell: (s) => <b className="break">{s.service}</b>,
    main: true,
  },
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
