/** Hosts: which are unhealthy, how loaded each is, and the way to add one more. */
import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { useMemo } from 'react';
import { attributeNumber, attributeText } from '@/api/inventory';
import { instantQuery, type Series } from '@/api/telemetry';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card, Headline, Meter } from '@/parts/card';
import { DATA_DISKS, diskPercent, diskUsed } from '@/parts/disk';
import { type HostHealth, isStale, useHosts } from '@/parts/health';
import { bytes, percent, plural } from '@/parts/number';
import { Empty, Failure, Skeleton } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { useParam } from '@/parts/url';
import { AddHost } from './addHost';

const CPU = '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[30s]))';
const MEMORY = '1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes';
const DISK = `max by (instance) (${diskUsed(DATA_DISKS)})`;
const EVERY = 10_000;

const byHost = (series: Series[] | undefined) =>
  new Map((series ?? []).map((s) => [s.labels.instance ?? '', s.points[0]?.[1] ?? Number.NaN]));

function Load(props: {
  value: number | undefined;
  label: string;
  high: number;
  /** A host that does not report is not as busy as it was when it last did. */
  stale: boolean;
  show?: (share: number) => string;
}) {
  const { value, label, high, show = percent } = props;
  if (props.stale) return <span className="faint">stale</span>;
  if (value === undefined || Number.isNaN(value)) return <span className="faint">no data</span>;
  const status = value >= 0.97 ? 'critical' : value >= high ? 'warning' : undefined;
  return (
    <span className="row tight" style={{ justifyContent: 'flex-end' }}>
      <span className="grow wide" style={{ maxWidth: 72 }}>
        <Meter ratio={value} status={status} label={label} />
      </span>
      <span style={{ width: 42 }}>{show(value)}</span>
    </span>
  );
}

const RANK = ['critical', 'warning', 'unknown', 'maintenance', 'ok'];

/** `app-1, app-2, app-3 and 7 more`; what is wrong with each is in the list. */
export function firstOf(hosts: HostHealth[], most = 4): string {
  const [only] = hosts;
  if (hosts.length === 1 && only)
    return only.word.includes(only.item.name) ? only.word : `${only.item.name}: ${only.word}`;
  const names = hosts.map((h) => h.item.name).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const rest = names.length - most;
  return rest > 0 ? `${names.slice(0, most).join(', ')} and ${rest} more` : names.join(', ');
}

/** `3 of 10 hosts unhealthy, 1 in maintenance`. */
export function healthOfAll(hosts: HostHealth[]): string {
  const count = (...statuses: string[]) => hosts.filter((h) => statuses.includes(h.status)).length;
  if (hosts.length === 0) return 'No hosts are monitored yet';
  const parts = [
    count('critical', 'warning') > 0 && `${count('critical', 'warning')} unhealthy`,
    count('unknown') > 0 && `${count('unknown')} unknown`,
    count('maintenance') > 0 && `${count('maintenance')} in maintenance or silenced`,
  ].filter(Boolean);
  if (parts.length === 0) {
    return hosts.length === 1 ? `${hosts[0]?.item.name} is healthy` : `All ${plural(hosts.length, 'host')} healthy`;
  }
  return `${plural(hosts.length, 'host')}: ${parts.join(', ')}`;
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
          <StatusBadge status={h.status}>{h.word.length > 34 ? `${h.word.slice(0, 33)}…` : h.word}</StatusBadge>
        ),
        width: 240,
      },
      { id: 'name', head: 'Host', value: (h) => h.item.name, cell: (h) => <b>{h.item.name}</b> },
      {
        id: 'cpu',
        head: 'CPU',
        number: true,
        value: (h) => c.get(h.item.name),
        cell: (h) => <Load stale={isStale(h.agent)} value={c.get(h.item.name)} label="CPU" high={0.9} />,
        width: 140,
      },
      {
        id: 'memory',
        head: 'Memory',
        number: true,
        value: (h) => m.get(h.item.name),
        cell: (h) => <Load stale={isStale(h.agent)} value={m.get(h.item.name)} label="Memory" high={0.9} />,
        width: 140,
        wide: true,
      },
      {
        id: 'disk',
        head: 'Disk usage (highest)',
        number: true,
        value: (h) => d.get(h.item.name),
        cell: (h) => (
          <Load
            stale={isStale(h.agent)}
            value={d.get(h.item.name)}
            label="Disk usage (highest)"
            high={0.85}
            show={diskPercent}
          />
        ),
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
        head: 'Last seen',
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
  const other = (hosts ?? [])
    .filter((h) => h.status !== 'ok')
    .sort((a, b) => RANK.indexOf(a.status) - RANK.indexOf(b.status));
  return (
    <>
      <Headline
        tab="Hosts"
        title={hosts ? healthOfAll(hosts) : 'Hosts'}
        lede={other.length > 0 ? firstOf(other) : 'Sampled every second. One command adds a host.'}
        actions={
          <Guarded permission="join_tokens.write" tone="primary" onClick={() => setAdding('yes')}>
            Add host
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
            <Empty title={hosts.length === 0 ? 'No hosts yet' : 'No hosts match the filter'}>
              {hosts.length === 0
                ? 'Press Add host: one command to copy, and its charts appear within seconds.'
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
