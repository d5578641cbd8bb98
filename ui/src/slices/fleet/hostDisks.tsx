/** A host's disks, with when they are projected to be full, and its certificates, with when they expire. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { attribute, attributeNumber, attributeText, type Item, type ItemDetail } from '@/api/inventory';
import { instantQuery, type Series } from '@/api/telemetry';
import type { Status } from '@/api/types';
import { Meter } from '@/parts/card';
import { diskPercent, diskSecondsLeft, diskStatus, diskUsed, projectedFull } from '@/parts/disk';
import { bytes } from '@/parts/number';
import { StatusBadge } from '@/parts/status';
import type { Column } from '@/parts/table';
import { span } from '@/parts/time';
import { PartTable } from './partTable';

const byMount = (series: Series[] | undefined) =>
  new Map((series ?? []).map((s) => [s.labels.mountpoint ?? '', s.points[0]?.[1] ?? Number.NaN]));

export function Disks({ host }: { host: ItemDetail }) {
  const on = `instance=${JSON.stringify(host.name)}`;
  const used = useQuery(instantQuery(diskUsed(on), 10_000)).data;
  const left = useQuery(instantQuery(diskSecondsLeft(on), 60_000)).data;
  const columns = useMemo((): Column<Item>[] => {
    const [u, d] = [byMount(used), byMount(left)];
    return [
      { id: 'name', head: 'Mount point', value: (i) => i.name, cell: (i) => <b className="mono break">{i.name}</b> },
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
                <Meter ratio={share} status={diskStatus(share)} label={`${i.name} used`} />
              </span>
              {diskPercent(share)}
            </span>
          );
        },
      },
      {
        id: 'full',
        head: 'Projected full',
        number: true,
        value: (i) => projectedFull(u.get(i.name), d.get(i.name)).sort,
        cell: (i) => {
          const full = projectedFull(u.get(i.name), d.get(i.name));
          if (full.status === 'unknown') return <span className="faint">{full.text}</span>;
          return full.status === 'ok' ? full.text : <StatusBadge status={full.status}>{full.text}</StatusBadge>;
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
  }, [used, left]);
  return <PartTable host={host} kind="disk" title="Disks" columns={columns} sort="name" empty="No disks found" />;
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
      empty="No certificates found"
      hint="The agent reads the files and folders named in its settings, under Admin, Agents."
    />
  );
}
