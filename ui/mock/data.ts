/** A made-up estate for development. */
export const now = Date.now();
export const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString();
const id = (prefix: string, n: number) => `${prefix}_${String(n).padStart(8, '0')}`;
const agentSource = 'agent:agt_00000001';
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

const HOSTS = [
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

const alert = (
  n: number,
  name: string,
  on: string,
  severity: string,
  since: number,
  summary: string,
  labels: object = {},
  extra: object = {},
) => ({
  id: id('alr', n),
  fingerprint: `f${n}`,
  name,
  severity,
  state: 'firing',
  labels: { instance: on, job: 'mainstay', ...labels },
  annotations: { summary, runbook: 'restart-service' },
  item_id: host(on).id,
  value: 1,
  active_since: ago(since),
  fired_at: ago(since),
  resolved_at: null,
  due_at: null,
  sources: [`rule:host/${name}`],
  silenced_by: null,
  suppressed_by: null,
  flapping: false,
  ...extra,
});
export const alerts = [
  alert(1, 'SystemdUnitFailed', 'web-03', 'critical', 372, 'checkout.service on web-03 has failed', {
    name: 'checkout.service',
  }),
  alert(2, 'ServiceDown', 'web-03', 'critical', 371, 'checkout on web-03 does not answer', {
    name: 'checkout.service',
  }),
  alert(3, 'DiskFillsUp', 'db-01', 'warning', 1320, 'Disk /var/lib/postgresql on db-01 is 91 % full', {
    mountpoint: '/var/lib/postgresql',
  }),
  alert(
    4,
    'CertificateExpires',
    'web-02',
    'warning',
    7400,
    'Certificate shop.example.org on web-02 expires in 9 days',
    { path: '/etc/ssl/shop.pem' },
  ),
  alert(5, 'AgentLost', 'backup-01', 'critical', 340, 'backup-01 is not heard of any more'),
  alert(
    6,
    'HighLoad',
    'build-01',
    'info',
    4000,
    'build-01 has more to do than processors',
    {},
    { silenced_by: 'sil_00000001', flapping: true },
  ),
];

const me = { id: 'per_00000001', name: 'Ada Berg' };
const brief = (i: MockItem) => ({ id: i.id, name: i.name, kind: i.kind });
export const incidents = [
  {
    id: 'inc_00000042',
    number: 1042,
    title: 'checkout.service on web-03 has failed',
    state: 'triggered',
    severity: 'sev2',
    lead: null,
    items: [brief(service('web-03', 'checkout.service')), brief(host('web-03'))],
    alert_count: 2,
    firing_count: 2,
    opened_at: ago(372),
    acknowledged_at: null,
    acknowledged_by: null,
    resolved_at: null,
    version: 1,
  },
  {
    id: 'inc_00000041',
    number: 1041,
    title: 'Disk /var/lib/postgresql on db-01 is 91 % full',
    state: 'acknowledged',
    severity: 'sev3',
    lead: me,
    items: [brief(host('db-01'))],
    alert_count: 1,
    firing_count: 1,
    opened_at: ago(1320),
    acknowledged_at: ago(1200),
    acknowledged_by: me,
    resolved_at: null,
    version: 2,
  },
  {
    id: 'inc_00000040',
    number: 1040,
    title: 'mail-01 was not heard of',
    state: 'resolved',
    severity: 'sev2',
    lead: me,
    items: [brief(host('mail-01'))],
    alert_count: 1,
    firing_count: 1,
    opened_at: ago(90000),
    acknowledged_at: ago(89900),
    acknowledged_by: me,
    resolved_at: ago(89000),
    version: 4,
  },
];

let seq = 4200;
const event = (
  seconds: number,
  topic: string,
  subject: string,
  data: object,
  actor = 'system:fleet',
  actor_name = 'fleet',
  cause: number | null = null,
) => ({
  seq: ++seq,
  at: ago(seconds),
  topic,
  subject,
  actor,
  actor_name,
  cause,
  data,
});
const person = ['person:per_00000001', 'Ada Berg'] as const;
export const events = [
  event(
    18000,
    'run.finished',
    'run_00000001',
    { runbook: 'Rebuild indexes', state: 'succeeded' },
    'system:schedule',
    'schedule',
  ),
  event(7400, 'alert.fired', 'alr_00000004', { ...alerts[3] }),
  event(2400, 'change.approved', 'chg_00000002', { title: 'Roll nginx 1.28 to edge' }, ...person),
  event(1320, 'alert.fired', 'alr_00000003', { ...alerts[2] }),
  event(
    1319,
    'incident.opened',
    'inc_00000041',
    { title: incidents[1]?.title, severity: 'sev3', text: 'Incident #1041 opened' },
    'system:incidents',
    'incidents',
    4204,
  ),
  event(1200, 'incident.acknowledged', 'inc_00000041', {}, ...person),
  event(
    414,
    'item.changed',
    host('web-03').id,
    { name: 'web-03', attribute: 'package libssl3', before: '3.0.14-1', after: '3.0.15-1' },
    'agent:agt_00000003',
    'web-03',
  ),
  event(
    373,
    'service.changed',
    service('web-03', 'checkout.service').id,
    { name: 'checkout.service', manager: 'systemd', state: 'failed', reason: 'exit-code 127' },
    'agent:agt_00000003',
    'web-03',
    4207,
  ),
  event(372, 'alert.fired', 'alr_00000001', { ...alerts[0] }, 'system:rules', 'rules', 4208),
  event(
    372,
    'incident.opened',
    'inc_00000042',
    {
      title: incidents[0]?.title,
      severity: 'sev2',
      text: 'Incident #1042 opened: checkout.service on web-03 has failed',
    },
    'system:incidents',
    'incidents',
    4209,
  ),
  event(
    371,
    'message.sent',
    'msg_00000001',
    { title: 'checkout.service on web-03 has failed', channel_name: 'On-call mail' },
    'system:notify',
    'notify',
    4210,
  ),
  event(
    371,
    'message.sent',
    'msg_00000002',
    { title: 'checkout.service on web-03 has failed', channel_name: 'Ops webhook' },
    'system:notify',
    'notify',
    4210,
  ),
  event(371, 'alert.fired', 'alr_00000002', { ...alerts[1] }, 'system:rules', 'rules', 4208),
  event(340, 'agent.lost', 'agt_00000010', { name: 'backup-01' }),
];

const TEXT = `name: restart-service
description: Restart a service and wait until it runs
risk: low
inputs:
  - name: service
    type: text
    default: checkout.service
targets: kind=host tag:role=web
steps:
  - name: Look at it
    command: [systemctl, status, "{{ service }}"]
  - name: Restart
    service: {name: "{{ service }}", action: restart}
  - name: Wait until it runs
    wait: {query: 'node_systemd_unit_state{name="{{ service }}",state="active"} == 1', every: 1s}
    timeout: 30s
`;
const steps = [
  { name: 'Look at it', kind: 'command' },
  { name: 'Restart', kind: 'service' },
  { name: 'Wait until it runs', kind: 'wait' },
];
export const runbooks = [
  {
    id: 'rbk_00000001',
    name: 'restart-service',
    description: 'Restart a service and wait until it runs',
    is_enabled: true,
    risk: 'low',
    is_standard: true,
    inputs: [
      { name: 'service', type: 'text', description: 'Unit to restart', is_required: true, default: 'checkout.service' },
    ],
    targets: 'kind=host tag:role=web',
    steps,
    schedules: [],
    alerts: [{ alert: 'SystemdUnitFailed', mode: 'ask' }],
    text: TEXT,
    updated_by: 'Ada Berg',
    updated_at: ago(86400),
    version: 3,
    errors: [],
  },
  {
    id: 'rbk_00000002',
    name: 'clean-disk',
    description: 'Remove old logs and package caches',
    is_enabled: true,
    risk: 'medium',
    is_standard: false,
    inputs: [],
    targets: 'kind=host',
    steps: steps.slice(0, 1),
    schedules: [{ cron: '0 4 * * *', time_zone: 'Europe/Berlin', next_at: new Date(now + 4e7).toISOString() }],
    alerts: [],
    text: 'name: clean-disk\nsteps: []\n',
    updated_by: 'Ben Cole',
    updated_at: ago(86400 * 4),
    version: 1,
    errors: [],
  },
];
const target = (name: string) => ({ item_id: host(name).id, name, host_id: host(name).id, tags: {} });
const task = (step: number, name: string, state: string, extra: object = {}) => ({
  step,
  item_id: host(name).id,
  target: name,
  attempt: 1,
  state,
  command_id: `cmd_${step}`,
  exit_code: state === 'ok' ? 0 : null,
  note: null,
  started_at: ago(30),
  finished_at: state === 'running' ? null : ago(24),
  ...extra,
});
export const runs = [
  {
    id: 'run_00000002',
    runbook_id: 'rbk_00000001',
    runbook: 'restart-service',
    runbook_version: 3,
    state: 'running',
    is_dry: false,
    source: 'person',
    inputs: { service: 'checkout.service' },
    targets: [target('web-03')],
    wave: 0,
    waves: 1,
    step: 1,
    steps,
    tasks: [
      task(0, 'web-03', 'ok'),
      task(1, 'web-03', 'running'),
      task(2, 'web-03', 'waiting', { command_id: null, started_at: null, finished_at: null }),
    ],
    incident_id: 'inc_00000042',
    alert_id: null,
    change_id: 'chg_00000003',
    requested_by: 'Ada Berg',
    requested_at: ago(31),
    started_at: ago(30),
    finished_at: null,
    note: null,
  },
  {
    id: 'run_00000001',
    runbook_id: 'rbk_00000002',
    runbook: 'clean-disk',
    runbook_version: 1,
    state: 'succeeded',
    is_dry: false,
    source: 'schedule',
    inputs: {},
    targets: HOSTS.slice(0, 4).map(target),
    wave: 1,
    waves: 2,
    step: 1,
    steps: steps.slice(0, 1),
    tasks: HOSTS.slice(0, 4).map((n) => task(0, n, 'ok')),
    incident_id: null,
    alert_id: null,
    change_id: null,
    requested_by: 'schedule',
    requested_at: ago(18040),
    started_at: ago(18040),
    finished_at: ago(18000),
    note: null,
  },
];
const change = (n: number, title: string, state: string, extra: object = {}) => ({
  id: id('chg', n),
  title,
  kind: 'runbook',
  source: 'person',
  risk: 'low',
  state,
  reason: 'Known holes in the present version',
  plan_hash: 'b3:91c2…',
  plan_summary: 'Upgrade nginx to 1.28 on 2 hosts, one at a time; canary first.',
  targets: [
    { item_id: host('edge-01').id, name: 'edge-01' },
    { item_id: host('edge-02').id, name: 'edge-02' },
  ],
  requested_by: 'person:per_00000002',
  requested_by_name: 'Ben Cole',
  requested_at: ago(2600),
  expires_at: new Date(now + 2e8).toISOString(),
  decided_by: null,
  decided_by_name: null,
  decided_at: null,
  decision_note: 'touches 2 hosts of env=prod',
  started_at: null,
  finished_at: null,
  version: 1,
  ...extra,
});
export const changes = [
  change(1, 'Roll nginx 1.28 to edge', 'requested'),
  change(3, 'Run restart-service on web-03', 'granted', {
    started_at: ago(30),
    requested_at: ago(31),
    requested_by_name: 'Ada Berg',
    plan_summary: 'restart checkout.service',
  }),
  change(2, 'Clean disks of the web hosts', 'succeeded', {
    source: 'schedule',
    requested_at: ago(18050),
    started_at: ago(18040),
    finished_at: ago(18000),
  }),
];
export const people = [
  {
    ...me,
    login: 'ada',
    email: 'ada@example.org',
    is_disabled: false,
    created_at: ago(86400 * 9),
    signed_in_at: ago(600),
    teams: [{ id: 'team_00000001', name: 'Web team', description: '' }],
    grants: [
      { id: 'gra_1', holder: me.id, role: 'administrator', scope: { team: null, tags: {} }, created_at: ago(86400) },
    ],
  },
  {
    id: 'per_00000002',
    name: 'Ben Cole',
    login: 'ben',
    email: 'ben@example.org',
    is_disabled: false,
    created_at: ago(86400 * 7),
    signed_in_at: ago(86400),
    teams: [],
    grants: [
      {
        id: 'gra_2',
        holder: 'per_00000002',
        role: 'operator',
        scope: { team: null, tags: { env: 'prod' } },
        created_at: ago(86400),
      },
    ],
  },
];
