/** What has happened. */
import { alerts, incidents } from './incidents.ts';
import { ago, host, service } from './items.ts';

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
