/** Which measure shows an alert best. */
import type { Alert } from '@/api/alerting';
import { diskUsed } from '@/parts/disk';
import type { Unit } from '@/parts/number';

export interface Measure {
  title: string;
  expr: string;
  unit: Unit;
  max?: number;
}

const quote = (text: string) => JSON.stringify(text);

export function chartFor(alert: Alert | null, host: string | undefined): Measure | null {
  const on = host ? `instance=${quote(host)}` : '';
  const l = alert?.labels ?? {};
  const name = (alert?.name ?? '').toLowerCase();
  const own = alert?.annotations?.query;
  if (l.mountpoint) {
    return {
      title: `Disk usage of ${l.mountpoint}`,
      expr: diskUsed(on, `mountpoint=${quote(l.mountpoint)}`),
      unit: 'percent',
      max: 1,
    };
  }
  if (/mem|swap|oom/.test(name)) {
    return {
      title: 'Memory usage',
      expr: `1 - node_memory_MemAvailable_bytes{${on}} / node_memory_MemTotal_bytes{${on}}`,
      unit: 'percent',
      max: 1,
    };
  }
  if (l.name && /unit|service|systemd/.test(name)) {
    return {
      title: `${l.name} running (1) or not (0)`,
      expr:
        own ?? `node_systemd_unit_state{${[on, `name=${quote(l.name)}`, 'state="active"'].filter(Boolean).join(',')}}`,
      unit: 'plain',
      max: 1,
    };
  }
  if (own) return { title: alert?.name ?? 'Value', expr: own, unit: 'plain' };
  if (!host) return null;
  return {
    title: 'CPU utilization',
    expr: `1 - avg(rate(node_cpu_seconds_total{mode="idle",${on}}[30s]))`,
    unit: 'percent',
    max: 1,
  };
}
