/** Hosts: who is ill, how loaded each is, and the way to add one more. */
import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { useMemo } from 'react';
import { attributeNumber, attributeText } from '@/api/inventory';
import { instantQuery, type Series } from '@/api/telemetry';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card, Headline, Meter } from '@/parts/card';
import { type HostHealth, useHosts } from '@/parts/health';
import { bytes, percent, plural } from '@/parts/number';
import { Empty, Failure, Skeleton } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { useParam } from '@/parts/url';
import { AddHost } from './addHost';

const CPU = '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[30s]))';
const MEMORY = '1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes';
const DISK =
  'max by (instance) (1 - node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|squashfs|ramfs|iso9660"} / node_filesystem_size_bytes)';
const EVERY = 10_000;

const byHost = (series: Series[] | undefined) =>
  new Map((series ?? []).map((s) => [s.labels.instance ?? '', s.points[0]?.[1] ?? Number.NaN]));

function Load({ value, label, high }: { value: number | undefined; label: string; high: number }) {
  if (value === undefined || Number.isNaN(value)) return <span className="faint">no data</span>;
  const status = value >= 0.97 ? 'critical' : value >= high ? 'warning' : undefined;
  return (
    <span className="row tight" style={{ justifyContent: 'flex-end' }}>
      <span className="grow wide" style={{ maxWidth: 72 }}>
        <Meter ratio={value} status={status} label={label} />
      </span>
      <span style={{ width: 42 }}>{percent(value)}</span>
    </span>
  );
}

const RANK = ['critical', 'warning', 'unknown', 'maintenance', 'ok'];

/** `app-1, app-2, app-3 and 7 more`; what ails each stands in the list. */
export function firstOf(hosts: HostHealth[], most = 4): string {
  const [only] = hosts;
  if (hosts.length === 1 && only)
    return only.word.includes(only.item.name) ? only.word : `${only.item.name}: ${only.word}`;
  const names = hosts.map((h) => h.item.name).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const rest = names.length - most;
  return rest > 0 ? `${names.slice(0, most).join(', ')} and ${rest} more` : names.join(', ');
}

export function Hosts() {
  const { hosts, error, retry } = useHosts();
  const [filter, setFilter] = useParam('q');
  const [adding, setAdding] = useParam('add');
  const router = useRouter();
  const cpu = useQuery(instantQuery(CPU, EVERY)).data;
  const memory = useQuery(instantQuery(MEMORY, EVERY)).data;
  const disk = useQuery(instantQuery(DISK, EVERY)).data;
  const columns = useMemo((): Column<HostHealth>[] => {
    const [c, m, d] = [byHost(cpu), byHost(memory), byHost(disk)];
    return [
      {
        id: 'status',
        head: 'State',
        value: (h) => `${RANK.indexOf(h.status)} ${h.word}`,
        cell: (h) => (
          <StatusBadge status={h.status}>
            {h.status === 'ok' ? 'OK' : h.word.length > 34 ? `${h.word.slice(0, 33)}…` : h.word}
          </StatusBadge>
        ),
        width: 240,
      },
      { id: 'name', head: 'Host', value: (h) => h.item.name, cell: (h) => <b>{h.item.name}</b> },
      {
        id: 'cpu',
        head: 'Processors',
        number: true,
        value: (h) => c.get(h.item.name),
        cell: (h) => <Load value={c.get(h.item.name)} label="Processors" high={0.9} />,
        width: 140,
      },
      {
        id: 'memory',
        head: 'Memory',
        number: true,
        value: (h) => m.get(h.item.name),
        cell: (h) => <Load value={m.get(h.item.name)} label="Memory" high={0.9} />,
        width: 140,
        wide: true,
      },
      {
        id: 'disk',
        head: 'Fullest disk',
        number: true,
        value: (h) => d.get(h.item.name),
        cell: (h) => <Load value={d.get(h.item.name)} label="Fullest disk" high={0.85} />,
        width: 140,
        wide: true,
      },
      {
        id: 'size',
        head: 'Size',
        number: true,
        value: (h) => attributeNumber(h.item, 'cpu_count'),
        cell: (h) => (
          <span className="muted nowrap">
            {plural(attributeNumber(h.item, 'cpu_count') ?? 0, 'core')} ·{' '}
            {bytes(attributeNumber(h.item, 'memory_bytes') ?? Number.NaN)}
          </span>
        ),
        roomy: true,
      },
      {
        id: 'os',
        head: 'System',
        value: (h) => `${attributeText(h.item, 'os_name')} ${attributeText(h.item, 'os_version')}`,
        cell: (h) => (
          <span className="muted nowrap">
            {attributeText(h.item, 'os_name').replace(' GNU/Linux', '')} {attributeText(h.item, 'os_version')}
          </span>
        ),
        roomy: true,
      },
      {
        id: 'seen',
        head: 'Heard of',
        value: (h) => h.agent?.heard_at,
        cell: (h) =>
          h.agent?.presence === 'connected' ? <span className="muted">now</span> : <Ago at={h.agent?.heard_at} />,
        number: true,
        roomy: true,
      },
    ];
  }, [cpu, memory, disk]);
  const shown = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    return (hosts ?? []).filter((h) => {
      const hay = `${h.item.name} ${h.word} ${attributeText(h.item, 'os_name')} ${Object.entries(h.item.tags)
        .map(([k, v]) => `${k}=${v}`)
        .join(' ')}`.toLowerCase();
      return words.every((w) => hay.includes(w));
    });
  }, [hosts, filter]);
  const ill = (hosts ?? [])
    .filter((h) => h.status !== 'ok')
    .sort((a, b) => RANK.indexOf(a.status) - RANK.indexOf(b.status));
  return (
    <>
      <Headline
        tab="Hosts"
        title={
          !hosts
            ? 'Hosts'
            : hosts.length === 0
              ? 'No host is watched yet'
              : hosts.length === 1
                ? `${hosts[0]?.item.name} ${ill.length === 0 ? 'is well' : 'needs a look'}`
                : ill.length === 0
                  ? `All ${plural(hosts.length, 'host')} are well`
                  : `${ill.length} of ${plural(hosts.length, 'host')} ${ill.length === 1 ? 'needs' : 'need'} a look`
        }
        lede={ill.length > 0 ? firstOf(ill) : 'Measured each second; one copied command adds a host.'}
        actions={
          <Guarded permission="join_tokens.write" tone="primary" onClick={() => setAdding('yes')}>
            Add a host
          </Guarded>
        }
      />
      <div className="row below">
        <TextInput
          data-filter
          aria-label="Filter hosts"
          placeholder="Filter by name, tag, system…"
          value={filter}
          onChange={(e) => setFilter(e.currentTarget.value)}
          w={300}
        />
      </div>
      <div className="below">
        <Card title="Hosts" flush>
          {error ? (
            <Failure error={error} retry={retry} what="Hosts" />
          ) : !hosts ? (
            <Skeleton rows={6} />
          ) : shown.length === 0 ? (
            <Empty title={hosts.length === 0 ? 'No host yet' : 'No host matches the filter'}>
              {hosts.length === 0
                ? 'Press Add a host: one copied command, and its charts move within seconds.'
                : 'Clear the filter to see all.'}
            </Empty>
          ) : (
            <DataTable
              rows={shown}
              columns={columns}
              id={(h) => h.item.id}
              label="Hosts"
              csv="hosts"
              sort="status"
              aside={plural(shown.length, 'host')}
              open={(h) => router.history.push(`/hosts/${h.item.id}`)}
            />
          )}
        </Card>
      </div>
      <AddHost open={adding !== ''} close={() => setAdding('')} />
    </>
  );
}
