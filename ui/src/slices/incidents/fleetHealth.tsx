/** Figures of the whole fleet that should be zero, each with its way in. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { instantQuery } from '@/api/telemetry';
import type { Status } from '@/api/types';
import { Card } from '@/parts/card';
import { DATA_DISKS, diskUsed } from '@/parts/disk';
import { type HostHealth, isStale } from '@/parts/health';
import { plural } from '@/parts/number';
import { StatusBadge } from '@/parts/status';

/** How many series meet a condition: 0 when none does, no answer when there is none to look at. */
const counted = (all: string, condition: string) => `count(${all} ${condition}) or 0 * count(${all})`;

export const FIGURES = {
  disks: counted(`(${diskUsed(DATA_DISKS)})`, '> 0.9'),
  units: counted('node_systemd_unit_state{state="failed"}', '== 1'),
  memory: counted('(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)', '> 0.9'),
};

function Figure({ text, expr, href, bad }: { text: string; expr: string; href: string; bad: Status }) {
  const query = useQuery(instantQuery(expr, 15_000));
  const count = query.isError ? null : (query.data?.[0]?.points[0]?.[1] ?? null);
  return (
    <Line
      text={text}
      href={href}
      status={count === null ? 'unknown' : count > 0 ? bad : 'ok'}
      value={count === null ? 'no data' : String(count)}
    />
  );
}

function Line({ text, href, status, value }: { text: string; href: string; status: Status; value: string }) {
  return (
    <Link to={href} className="line">
      <span>{text}</span>
      <StatusBadge status={status}>{value}</StatusBadge>
    </Link>
  );
}

export function FleetHealth({ hosts }: { hosts: HostHealth[] | undefined }) {
  const stale = (hosts ?? []).filter((h) => isStale(h.agent));
  const lost = stale.some((h) => h.agent?.presence === 'lost');
  const reporting = (hosts ?? []).length - stale.length;
  return (
    <Card title="Fleet health" aside={hosts && `${plural(reporting, 'host')} reporting`} flush>
      <Line
        text="Hosts not reporting"
        href="/hosts"
        status={!hosts ? 'unknown' : lost ? 'critical' : stale.length > 0 ? 'warning' : 'ok'}
        value={hosts ? String(stale.length) : 'no data'}
      />
      <Figure text="Disks above 90 %" expr={FIGURES.disks} href="/hosts" bad="warning" />
      <Figure text="Failed units" expr={FIGURES.units} href="/alerts" bad="warning" />
      <Figure text="Hosts above 90 % memory" expr={FIGURES.memory} href="/hosts" bad="warning" />
    </Card>
  );
}
