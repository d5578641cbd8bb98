/** What runs on a host beside its services: database servers and containers, where there are any. */
import { attribute, attributeNumber, attributeText, type Item, type ItemDetail } from '@/api/inventory';
import { Ago } from '@/parts/ago';
import { StatusBadge } from '@/parts/status';
import type { Column } from '@/parts/table';
import { PartTable, useParts } from './partTable';

const running: Column<Item> = {
  id: 'state',
  head: 'State',
  value: (i) => String(attribute(i, 'running')),
  cell: (i) => {
    const up = attribute(i, 'running') !== false;
    return <StatusBadge status={up ? 'ok' : 'critical'}>{up ? 'running' : 'stopped'}</StatusBadge>;
  },
  width: 130,
};

const muted = (id: string, head: string, name: string, wide = true): Column<Item> => ({
  id,
  head,
  value: (i) => attributeText(i, name),
  cell: (i) => <span className="muted break">{attributeText(i, name)}</span>,
  wide,
});

const DATABASES: Column<Item>[] = [
  running,
  {
    id: 'engine',
    head: 'Engine',
    value: (i) => attributeText(i, 'engine'),
    cell: (i) => (
      <b className="break">{[attributeText(i, 'engine'), attributeText(i, 'version')].filter(Boolean).join(' ')}</b>
    ),
  },
  { id: 'port', head: 'Port', value: (i) => attributeNumber(i, 'port') ?? 0, number: true },
  muted('service', 'Service', 'service'),
  {
    id: 'folder',
    head: 'Data directory',
    value: (i) => attributeText(i, 'data_directory'),
    cell: (i) => <span className="mono break">{attributeText(i, 'data_directory')}</span>,
    wide: true,
  },
];

const CONTAINERS: Column<Item>[] = [
  running,
  { id: 'name', head: 'Container', value: (i) => i.name, cell: (i) => <b className="break">{i.name}</b> },
  muted('image', 'Image', 'image', false),
  muted('runtime', 'Runtime', 'runtime'),
  {
    id: 'started',
    head: 'Started',
    value: (i) => attributeText(i, 'started_at'),
    cell: (i) =>
      attributeText(i, 'started_at') ? <Ago at={attributeText(i, 'started_at')} /> : <span className="faint">–</span>,
    number: true,
  },
];

export function Running({ host }: { host: ItemDetail }) {
  const databases = useParts(host, 'database').data?.items.length ?? 0;
  const containers = useParts(host, 'container').data?.items.length ?? 0;
  return (
    <>
      {databases > 0 && (
        <PartTable
          host={host}
          kind="database"
          title="Database servers"
          columns={DATABASES}
          sort="engine"
          empty="None found"
        />
      )}
      {containers > 0 && (
        <PartTable
          host={host}
          kind="container"
          title="Containers"
          columns={CONTAINERS}
          sort="name"
          empty="None found"
        />
      )}
    </>
  );
}
