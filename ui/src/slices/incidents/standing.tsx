/** Standing figures that should be zero, each with its way in. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { instantQuery } from '@/api/telemetry';
import type { Status } from '@/api/types';
import { Card } from '@/parts/card';
import type { HostHealth } from '@/parts/health';
import { StatusBadge } from '@/parts/status';

/** Each is a count; no series means none, as long as the query itself answered. */
const FIGURES = {
  disks: 'count(node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|squashfs"} / node_filesystem_size_bytes < 0.1)',
  units: 'count(node_systemd_unit_state{state="failed"} == 1)',
  memory: 'count(node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.1)',
};

function Figure({ text, expr, href, bad }: { text: string; expr: string; href: string; bad: Status }) {
  const query = useQuery(instantQuery(expr, 15_000));
  const count = query.data ? (query.data[0]?.points[0]?.[1] ?? 0) : null;
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

export function Standing({ hosts }: { hosts: HostHealth[] }) {
  const lost = hosts.filter((h) => h.agent?.state === 'active' && h.agent.presence === 'lost').length;
  return (
    <Card title="Standing" flush>
      <Line text="Hosts not heard of" href="/hosts" status={lost > 0 ? 'critical' : 'ok'} value={String(lost)} />
      <Figure text="Disks above 90 %" expr={FIGURES.disks} href="/hosts" bad="warning" />
      <Figure text="Failed units" expr={FIGURES.units} href="/alerts" bad="warning" />
      <Figure text="Hosts short of memory" expr={FIGURES.memory} href="/hosts" bad="warning" />
    </Card>
  );
}
