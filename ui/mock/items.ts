/** Hosts, what is on them, and their agents. */
export const now = Date.now();
export const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString();
export const id = (prefix: string, n: number) => `${prefix}_${String(n).padStart(8, '0')}`;
export const agentSource = 'agent:agt_00000001';
const attrs = (values: Record<string, unknown>, source = agentSource) =>
  Object.fromEntries(Object.entries(values).map(([k, value]) => [k, { value, source, at: ago(3600) }]));

export interface MockItem {
  id: string;
  kind: string;
  name: string;
  parent: string | null;
  [key: string]: unknown;
}
let count = 0;
function item(
  kind: string,
  name: string,
  parent: string | null,
  values: Record<string, unknown>,
  extra: object = {},
): MockItem {
  return {
    id: id('itm', ++count),
    kind,
    key: name,
    name,
    name_is_manual: false,
    parent,
    state: 'active',
    team: null,
    owner: null,
    tags: {},
    own_tags: {},
    source: agentSource,
    attributes: attrs(values),
    created_at: ago(86400 * 9),
    changed_at: ago(4000),
    observed_at: ago(20),
    retired_at: null,
    version: 1,
    ...extra,
  };
}

export const HOSTS = [
  'web-01',
  'web-02',
  'web-03',
  'web-04',
  'db-01',
  'db-02',
  'cache-01',
  'mail-01',
  'build-01',
  'backup-01',
  'edge-01',
  'edge-02',
];
const RUN: Record<string, string[]> = {
  web: ['nginx.service', 'checkout.service', 'ssh.service', 'cron.service'],
  db: ['postgresql.service', 'ssh.service', 'cron.service'],
  cache: ['redis.service', 'ssh.service'],
  mail: ['postfix.service', 'dovecot.service', 'ssh.service'],
  build: ['runner.service', 'ssh.service'],
  backup: ['borg.service', 'ssh.service'],
  edge: ['haproxy.service', 'ssh.service'],
};
export const items: MockItem[] = [];
for (const [i, name] of HOSTS.entries()) {
  const group = name.split('-')[0] as string;
  const tags = { env: 'prod', role: group };
  const host = item(
    'host',
    name,
    null,
    {
      os_name: 'Debian GNU/Linux',
      os_version: i % 3 ? '12' : '13',
      kernel: '6.1.0-28-amd64',
      architecture: 'x86_64',
      cpu_model: 'AMD EPYC 7443P',
      cpu_count: 8,
      memory_bytes: 34359738368,
      virtualization: 'kvm',
      init: 'systemd',
      boot_at: ago(86400 * 41),
      time_zone: 'Europe/Berlin',
      addresses: [`10.0.1.${10 + i}`],
      agent_version: '0.1.0',
    },
    { tags, own_tags: tags, owner: group === 'db' ? 'Data team' : 'Web team' },
  );
  items.push(host);
  for (const [k, unit] of (RUN[group] ?? []).entries()) {
    const state = name === 'web-03' && unit === 'checkout.service' ? 'failed' : 'active';
    items.push(
      item('service', unit, host.id, {
        manager: 'systemd',
        state,
        enabled: true,
        description: unit.replace('.service', ' server'),
        main_pid: 700 + k * 31,
        started_at: ago(86400 * 3),
        listening:
          {
            'nginx.service': ['tcp 0.0.0.0:443', 'tcp 0.0.0.0:80'],
            'ssh.service': ['tcp 0.0.0.0:22'],
            'checkout.service': ['tcp 127.0.0.1:8080'],
            'postgresql.service': ['tcp 10.0.1.14:5432'],
          }[unit] ?? null,
      }),
    );
  }
  items.push(item('disk', '/', host.id, { device: '/dev/vda1', mount_point: '/', fs_type: 'ext4', size_bytes: 64e9 }));
  if (group === 'db')
    items.push(
      item('disk', '/var/lib/postgresql', host.id, {
        device: '/dev/vdb',
        mount_point: '/var/lib/postgresql',
        fs_type: 'xfs',
        size_bytes: 512e9,
      }),
    );
  items.push(
    item('interface', 'eth0', host.id, {
      mac: `52:54:00:aa:10:0${i % 10}`,
      addresses: [`10.0.1.${10 + i}/24`],
      mtu: 1500,
      speed_mbit: 10000,
      up: true,
    }),
  );
  items.push(
    item('endpoint', 'tcp 0.0.0.0:22', host.id, {
      protocol: 'tcp',
      address: '0.0.0.0',
      port: 22,
      process: 'sshd',
      service: 'ssh.service',
    }),
  );
  if (group === 'web')
    items.push(
      item('endpoint', 'tcp 0.0.0.0:443', host.id, {
        protocol: 'tcp',
        address: '0.0.0.0',
        port: 443,
        process: 'nginx',
        service: 'nginx.service',
      }),
    );
  if (group === 'web')
    items.push(
      item('certificate', '/etc/ssl/shop.pem', host.id, {
        path: '/etc/ssl/shop.pem',
        subject: 'CN=shop.example.org',
        issuer: "CN=R11, O=Let's Encrypt",
        names: ['shop.example.org'],
        not_after: new Date(now + 86400e3 * (name === 'web-02' ? 9 : 61)).toISOString(),
        not_before: ago(86400 * 29),
        fingerprint: 'ab12',
      }),
    );
}
export const host = (name: string) => items.find((i) => i.kind === 'host' && i.name === name) as MockItem;
export const service = (on: string, name: string) =>
  items.find((i) => i.name === name && i.parent === host(on).id) as MockItem;

export const agents = HOSTS.map((name, i) => ({
  id: id('agt', i + 1),
  name,
  item_id: host(name).id,
  state: 'active',
  presence: name === 'backup-01' ? 'lost' : 'connected',
  presence_at: ago(340),
  heard_at: ago(name === 'backup-01' ? 340 : 1),
  version: '0.1.0',
  address: `10.0.1.${10 + i}:41002`,
  joined_at: ago(86400 * 9),
  certificate_expires_at: new Date(now + 5 * 86400e3).toISOString(),
  has_own_config: false,
}));
