/** Made-up live feeds. */
import type { IncomingMessage, ServerResponse } from 'node:http';

const LINES = [
  'GET /checkout 502 0.004',
  'connection to 10.0.1.14:5432 established',
  'error: cannot load libssl.so.3: version not found',
  'session opened for user deploy',
  'worker 12 exited with code 127',
  'cache hit ratio 0.93',
];
export function line(at: number, i: number) {
  const severity = i % 7 === 2 ? 3 : i % 5 === 4 ? 4 : 6;
  return {
    position: `${at}-${i}`,
    at: new Date(at).toISOString(),
    labels: {
      instance: ['web-03', 'web-01', 'db-01'][i % 3],
      unit: ['checkout.service', 'nginx.service', 'postgresql.service'][i % 3],
    },
    severity,
    text: LINES[i % LINES.length],
  };
}

const SAID = [
  '× checkout.service - checkout server',
  '     Loaded: loaded (/etc/systemd/system/checkout.service; enabled)',
  '     Active: failed (Result: exit-code) since 14:36:42; 6min ago',
  '    Process: 4711 ExecStart=/usr/bin/checkout (code=exited, status=127)',
].join('\n');

export function stream(url: URL, request: IncomingMessage, response: ServerResponse): boolean {
  const live = url.pathname === '/api/v1/metrics/live';
  const tail = url.pathname === '/api/v1/logs/tail';
  const events = url.pathname === '/api/v1/events/stream';
  const run = /^\/api\/v1\/runs\/.*\/stream$/.test(url.pathname);
  const output = /^\/api\/v1\/commands\/.*\/output$/.test(url.pathname);
  if (!live && !tail && !events && !run && !output) return false;
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
  response.write(': open\n\n');
  const send = (name: string, data: unknown) => response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  let i = 0;
  const totals = new Map<string, number>();
  const tick = () => {
    i++;
    if (tail) send('line', line(Date.now(), i));
    if (output && i === 1) send('output', { stream: 'stdout', start_byte: 0, text: SAID });
    if (output && i === 2) send('end', {});
    if (live) send('samples', samples(url.searchParams.get('selector') ?? '', totals));
  };
  tick();
  const timer = setInterval(tick, 1000);
  request.on('close', () => clearInterval(timer));
  return true;
}

function samples(selector: string, totals: Map<string, number>) {
  const t = Date.now();
  const instance = /instance="([^"]+)"/.exec(selector)?.[1] ?? 'web-01';
  const grow = (key: string, by: number) => {
    totals.set(key, (totals.get(key) ?? 1000) + by);
    return totals.get(key);
  };
  const wave = 0.3 + 0.1 * Math.sin(t / 9000) + Math.random() * 0.05;
  const s = (name: string, labels: object, v: unknown) => ({ labels: { __name__: name, instance, ...labels }, t, v });
  return [
    ...['0', '1'].flatMap((cpu) => [
      s('node_cpu_seconds_total', { cpu, mode: 'idle' }, grow(`i${cpu}`, 1 - wave)),
      s('node_cpu_seconds_total', { cpu, mode: 'user' }, grow(`u${cpu}`, wave)),
    ]),
    s('node_memory_MemTotal_bytes', {}, 34e9),
    s('node_memory_MemAvailable_bytes', {}, 34e9 * (0.39 + Math.random() * 0.01)),
    s('node_disk_io_time_seconds_total', { device: 'vda' }, grow('io', 0.1 + Math.random() * 0.05)),
    s('node_network_receive_bytes_total', { device: 'eth0' }, grow('rx', 5e6 + Math.random() * 1e6)),
    s('node_network_transmit_bytes_total', { device: 'eth0' }, grow('tx', 2e6 + Math.random() * 1e6)),
    s('node_load1', {}, 0.4 + Math.random() * 0.1),
    s('node_filesystem_size_bytes', { mountpoint: '/', fstype: 'ext4', device: '/dev/vda1' }, 64e9),
    s('node_filesystem_avail_bytes', { mountpoint: '/', fstype: 'ext4', device: '/dev/vda1' }, 64e9 * 0.31),
  ];
}
