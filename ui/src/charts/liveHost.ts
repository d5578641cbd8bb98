/**
 * What a host does this second: raw samples, as they come each second, become shares and rates. Pure, so that it can be tested;
 * `useHostLive` feeds it.
 */
import type { LastSample } from '@/api/telemetry';
import { DATA_DISKS, diskUsedWithin, within } from '@/parts/disk';

export type Gauge = 'cpu' | 'memory' | 'disk' | 'busy' | 'rx' | 'tx' | 'load';

interface Counter {
  t: number;
  v: number;
}

export interface LiveState {
  counters: Map<string, Counter>;
  /** The newest plain values, since they may come in different events. */
  plain: Map<string, number>;
}

export const fresh = (): LiveState => ({ counters: new Map(), plain: new Map() });

const COUNTERS = new Set([
  'node_cpu_seconds_total',
  'node_disk_io_time_seconds_total',
  'node_network_receive_bytes_total',
  'node_network_transmit_bytes_total',
]);

/** Partitions and stacked devices would count the same work twice. */
const isDisk = (device: string) => /^(sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+|dm-\d+)$/.test(device);

/** Growth per second since the last sample; null for the first one, after a reset or after a gap. */
function growth(state: LiveState, key: string, t: number, v: number): number | null {
  const before = state.counters.get(key);
  state.counters.set(key, { t, v });
  if (!before || t <= before.t || v < before.v || t - before.t > 30_000) return null;
  return (v - before.v) / ((t - before.t) / 1000);
}

/** Takes the samples of one event and answers what could be told from them. */
export function advance(state: LiveState, samples: LastSample[]): Partial<Record<Gauge, number>> {
  let idle = 0;
  let all = 0;
  let rx: number | null = null;
  let tx: number | null = null;
  let busy: number | null = null;
  const point: Partial<Record<Gauge, number>> = {};
  for (const { labels, t, v } of samples) {
    if (v === null) continue;
    const name = labels.__name__ ?? '';
    if (!COUNTERS.has(name)) {
      state.plain.set(`${name}/${labels.mountpoint ?? ''}`, v);
      if (name === 'node_load1') point.load = v;
      continue;
    }
    const rate = growth(state, `${name}/${labels.cpu ?? ''}${labels.device ?? ''}/${labels.mode ?? ''}`, t, v);
    if (rate === null) continue;
    if (name === 'node_cpu_seconds_total') {
      all += rate;
      if (labels.mode === 'idle') idle += rate;
    } else if (name === 'node_disk_io_time_seconds_total') {
      if (isDisk(labels.device ?? '')) busy = Math.max(busy ?? 0, Math.min(1, rate));
    } else if (labels.device !== 'lo') {
      if (name === 'node_network_receive_bytes_total') rx = (rx ?? 0) + rate * 8;
      else tx = (tx ?? 0) + rate * 8;
    }
  }
  if (all > 0) point.cpu = Math.max(0, Math.min(1, 1 - idle / all));
  if (busy !== null) point.busy = busy;
  if (rx !== null) point.rx = rx;
  if (tx !== null) point.tx = tx;
  const total = state.plain.get('node_memory_MemTotal_bytes/');
  const available = state.plain.get('node_memory_MemAvailable_bytes/');
  if (total && available !== undefined && samples.some((s) => s.labels.__name__?.startsWith('node_memory_'))) {
    point.memory = 1 - available / total;
  }
  return point;
}

const quote = (text: string) => JSON.stringify(text);

/** What the live feed is asked for. */
export function selectors(host: string): string[] {
  const on = `instance=${quote(host)}`;
  return [
    `node_cpu_seconds_total{${on}}`,
    `node_memory_MemTotal_bytes{${on}}`,
    `node_memory_MemAvailable_bytes{${on}}`,
    `node_disk_io_time_seconds_total{${on}}`,
    `node_network_receive_bytes_total{${on}}`,
    `node_network_transmit_bytes_total{${on}}`,
    `node_load1{${on}}`,
  ];
}

/** The same figures from the store, for what was before. */
export function expressions(host: string, step: number): Record<Gauge, string> {
  const on = `instance=${quote(host)}`;
  const window = `${Math.max(10, step * 4)}s`;
  // What is no rate may come as seldom as once a minute; longer than that it does not count as the present.
  const plain = `${Math.max(65, step * 4)}s`;
  const slow = `${Math.max(90, step * 4)}s`;
  return {
    cpu: `1 - avg(rate(node_cpu_seconds_total{mode="idle",${on}}[${window}]))`,
    memory: `1 - ${within(`node_memory_MemAvailable_bytes{${on}}`, plain)} / ${within(`node_memory_MemTotal_bytes{${on}}`, plain)}`,
    disk: `max(${diskUsedWithin(slow, on, DATA_DISKS)})`,
    busy: `max(rate(node_disk_io_time_seconds_total{${on}}[${window}]))`,
    rx: `sum(rate(node_network_receive_bytes_total{device!="lo",${on}}[${window}])) * 8`,
    tx: `sum(rate(node_network_transmit_bytes_total{device!="lo",${on}}[${window}])) * 8`,
    load: within(`node_load1{${on}}`, plain),
  };
}
