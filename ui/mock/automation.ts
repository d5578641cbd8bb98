/** Runbooks, runs and changes. */
import { ago, HOSTS, host, id, now } from './items.ts';

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
