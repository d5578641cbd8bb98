/** One host: live state, what needs attention, and everything on it. */
import { useQuery } from '@tanstack/react-query';
import { useParams, useRouter } from '@tanstack/react-router';
import { useState } from 'react';
import { alertsQuery } from '@/api/alerting';
import { attributeNumber, attributeText, type ItemDetail, itemQuery } from '@/api/inventory';
import { Action, Guarded } from '@/parts/action';
import { Headline, Tabs } from '@/parts/card';
import { useItemHealth } from '@/parts/health';
import { useKeys } from '@/parts/keys';
import { bytes } from '@/parts/number';
import { Owner } from '@/parts/owner';
import { TimeRangePicker, useRange } from '@/parts/range';
import { Failure, Skeleton } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { span } from '@/parts/time';
import { useParam } from '@/parts/url';
import { Attention } from './attention';
import { HostCharts } from './hostCharts';
import { Certificates, Disks } from './hostDisks';
import { HostHistory, Packages } from './hostFacts';
import { HostLogs } from './hostLogs';
import { Running } from './hostRunning';
import { Network, Services } from './hostServices';
import { Processes, TopProcesses } from './processes';
import { RunOn } from './runOn';

const TABS = [
  { id: 'overview', text: 'Overview' },
  { id: 'processes', text: 'Processes' },
  { id: 'services', text: 'Services' },
  { id: 'network', text: 'Network' },
  { id: 'disks', text: 'Disks' },
  { id: 'packages', text: 'Packages' },
  { id: 'certificates', text: 'Certificates' },
  { id: 'logs', text: 'Logs' },
  { id: 'changes', text: 'Changes' },
];

export function HostPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const host = useQuery(itemQuery(id));
  if (host.data) return <Loaded host={host.data} />;
  return (
    <>
      <Headline
        tab="Host"
        crumbs={[{ text: 'Hosts', href: '/hosts' }]}
        title={host.isError ? 'Host cannot be shown' : 'Loading host…'}
      />
      <div className="card below">
        {host.isError ? <Failure error={host.error} retry={() => void host.refetch()} /> : <Skeleton rows={6} />}
      </div>
    </>
  );
}

/** `Debian 12 · 8 cores · 32 GiB · up 41 d`. */
export function summary(host: ItemDetail, now = Date.now()): string {
  const boot = attributeText(host, 'boot_at');
  const cores = attributeText(host, 'cpu_count');
  const memory = attributeNumber(host, 'memory_bytes');
  return [
    `${attributeText(host, 'os_name').replace(' GNU/Linux', '')} ${attributeText(host, 'os_version')}`.trim(),
    cores && `${cores} ${cores === '1' ? 'core' : 'cores'}`,
    memory && bytes(memory),
    boot && `up ${span((now - Date.parse(boot)) / 1000, true)}`,
  ]
    .filter(Boolean)
    .join(' · ');
}

function Loaded({ host }: { host: ItemDetail }) {
  const [tab] = useParam('tab', 'overview');
  const range = useRange('5m');
  const router = useRouter();
  const [running, setRunning] = useState(false);
  const alerts = useQuery(
    alertsQuery({ filter: `instance=${JSON.stringify(host.name)}`, state: 'firing', limit: 100 }),
  );
  const health = useItemHealth(host);
  const silence = () =>
    router.history.push(`/alerts?silence=${encodeURIComponent(`instance=${JSON.stringify(host.name)}`)}`);
  useKeys({ s: silence, r: () => setRunning(true) });
  return (
    <>
      <Headline
        tab={host.name}
        crumbs={[{ text: 'Hosts', href: '/hosts' }, { text: host.name }]}
        title={host.name}
        facts={
          <>
            {health ? (
              <StatusBadge status={health.status} pill>
                {health.word}
              </StatusBadge>
            ) : (
              <span className="bone" style={{ width: 52, height: 20, borderRadius: 10 }} />
            )}
            <span>{summary(host)}</span>
            <Owner item={host} />
          </>
        }
        actions={
          <>
            <Action onClick={() => router.history.push(`/items/${host.id}`)}>Facts</Action>
            <Guarded permission="silences.write" keys="s" onClick={silence}>
              Silence
            </Guarded>
            <Guarded permission="runs.start" tone="primary" keys="r" onClick={() => setRunning(true)}>
              Run…
            </Guarded>
          </>
        }
      />
      <Tabs tabs={TABS} current={tab} />
      {tab === 'overview' && (
        <>
          <div className="row" style={{ justifyContent: 'flex-end', marginTop: 12, marginBottom: -6 }}>
            <TimeRangePicker otherwise="5m" />
          </div>
          <HostCharts host={host.name} range={range} />
          <div className="cols two">
            <Attention host={host} alerts={alerts.data?.items ?? []} />
            <TopProcesses host={host.name} />
          </div>
        </>
      )}
      {tab === 'processes' && <Processes host={host.name} />}
      {tab === 'services' && (
        <>
          <Services host={host} />
          <Running host={host} />
        </>
      )}
      {tab === 'network' && <Network host={host} />}
      {tab === 'disks' && <Disks host={host} />}
      {tab === 'packages' && <Packages host={host} />}
      {tab === 'certificates' && <Certificates host={host} />}
      {tab === 'logs' && <HostLogs host={host.name} />}
      {tab === 'changes' && <HostHistory host={host} />}
      {running && <RunOn host={host.name} close={() => setRunning(false)} />}
    </>
  );
}
