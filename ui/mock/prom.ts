/** Made-up answers of the metric API: smooth curves that depend on the query's text. */
import { host, items } from './data.ts';

const hash = (text: string) => [...text].reduce((h, c) => (h * 31 + c.charCodeAt(0)) >>> 0, 7);
const noise = (seed: number) => ((Math.sin(seed * 12.9898) * 43758.5453) % 1) - 0.5;
const HOSTS = items.filter((i) => i.kind === 'host').map((i) => i.name);

export function value(expr: string, t: number, host: string): number {
  const h = hash(expr + host);
  const wave = 0.5 + 0.5 * Math.sin(t / (200 + (h % 300)) + h);
  const n = noise(t + h);
  if (/count\(/.test(expr)) return expr.includes('failed') ? 1 : expr.includes('Mem') ? 0 : 1;
  if (/bytes_total|network/.test(expr)) return 2e6 + 3e6 * wave + 1e6 * n;
  if (/filesystem_avail/.test(expr) && /^1 -|^\(1/.test(expr))
    return 0.6 + 0.31 * (host.startsWith('db') ? 1 : 0.3) + 0.004 * n;
  if (/MemAvailable/.test(expr)) return 0.58 + 0.05 * wave + 0.01 * n;
  if (/load|procs|pressure/.test(expr)) return 0.4 + wave * 0.6 + 0.2 * n;
  if (/io_time/.test(expr)) return 0.1 + 0.05 * wave + 0.04 * n;
  if (/unit_state/.test(expr)) return t > Date.now() / 1000 - 372 ? 0 : 1;
  return Math.max(0, 0.25 + 0.2 * wave + 0.08 * n);
}

function hostsOf(expr: string): string[] {
  const one = /instance="([^"]+)"/.exec(expr)?.[1];
  if (one) return [one];
  return /by \(instance\)|^1 - node_|^[a-z_]+(\{.*\})?$/.test(expr) && !/^(avg|sum|count)\(1/.test(expr)
    ? HOSTS.slice(0, 8)
    : [''];
}

const NAMES = [
  'node_cpu_seconds_total',
  'node_load1',
  'node_memory_MemAvailable_bytes',
  'node_memory_MemTotal_bytes',
  'node_filesystem_avail_bytes',
  'node_filesystem_size_bytes',
  'node_disk_io_time_seconds_total',
  'node_network_receive_bytes_total',
  'node_network_transmit_bytes_total',
  'node_systemd_unit_state',
  'up',
  'ALERTS',
];

export function prometheus(path: string, p: URLSearchParams): { status: number; body: unknown } {
  const ok = (data: unknown) => ({ status: 200, body: { status: 'success', data } });
  if (path.endsWith('/__name__/values')) return ok(NAMES);
  if (path.endsWith('/labels')) return ok(['__name__', 'instance', 'job', 'mode', 'device', 'mountpoint']);
  const expr = p.get('query') ?? '';
  const open = [...expr].filter((c) => c === '(').length - [...expr].filter((c) => c === ')').length;
  if (open !== 0)
    return {
      status: 400,
      body: {
        status: 'error',
        errorType: 'bad_data',
        error: `1:${expr.length + 1}: parse error: unclosed left parenthesis`,
      },
    };
  const metric = (h: string) => (h ? { instance: h } : {});
  if (path.endsWith('/query_range')) {
    const [from, to, step] = ['start', 'end', 'step'].map((k) => Number(p.get(k))) as [number, number, number];
    const start = Math.ceil(from / step) * step;
    const times = Array.from({ length: Math.floor((to - start) / step) + 1 }, (_, i) => start + i * step);
    return ok({
      resultType: 'matrix',
      result: hostsOf(expr).map((h) => ({
        metric: metric(h),
        values: times.map((t) => [t, String(value(expr, t, h))]),
      })),
    });
  }
  const t = Date.now() / 1000;
  if (/mainstay_process/.test(expr)) {
    const names = [
      'postgres: checkpointer',
      'postgres: walwriter',
      'nginx: worker',
      'checkout',
      'mainstay agent',
      'sshd',
    ];
    return ok({
      resultType: 'vector',
      result: names.map((n, i) => ({
        metric: { name: n, user: i < 2 ? 'postgres' : 'root', pid: String(700 + i), instance: host('web-01').name },
        value: [t, String(/resident/.test(expr) ? 2e9 / (i + 1) : /count/.test(expr) ? i + 1 : 0.112 / (i + 1))],
      })),
    });
  }
  return ok({
    resultType: 'vector',
    result: hostsOf(expr).map((h) => ({ metric: metric(h), value: [t, String(value(expr, t, h))] })),
  });
}
