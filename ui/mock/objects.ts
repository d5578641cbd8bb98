/** One thing at a time: incidents, items and runbooks, with what can be done to each. */
import { ago, alerts, events, host, incidents, items, type MockItem, people, runbooks, runs, service } from './data.ts';
import { edges } from './map.ts';
import { type Answer, ok, page } from './say.ts';

type Sent = Record<string, unknown>;
const brief = (i: MockItem) => ({ id: i.id, kind: i.kind, name: i.name, state: 'active', parent: i.parent });

function incident(id: string) {
  const it = incidents.find((i) => i.id === id);
  if (!it) return null;
  const own = it.number === 1042 ? alerts.slice(0, 2) : [alerts[2]];
  return {
    ...it,
    alerts: it.number === 1040 ? [] : own,
    impact:
      it.number === 1042
        ? [
            {
              id: service('edge-01', 'haproxy.service').id,
              name: 'haproxy on edge-01',
              kind: 'service',
              distance: 2,
              via: 'calls nginx on web-03',
            },
          ]
        : [],
    suspects:
      it.number === 1042
        ? [
            {
              seq: 4207,
              title: 'Package update libssl3 on web-03',
              detail: '3.0.14-1 → 3.0.15-1, unattended upgrade',
              kind: 'item.changed',
              at: ago(414),
              score: 0.83,
              evidence: ['same host', '41 s before', 'library in use'],
              subject: host('web-03').id,
            },
            {
              seq: 4203,
              title: 'Roll nginx 1.28 to edge',
              detail: 'change, approved by Ada Berg',
              kind: 'change',
              at: ago(2400),
              score: 0.21,
              evidence: ['upstream, 1 hop', '34 min before'],
              subject: 'chg_00000002',
            },
            {
              seq: 4201,
              title: 'Rebuild indexes on db-01',
              detail: 'runbook by schedule',
              kind: 'run',
              at: ago(18000),
              score: 0.08,
              evidence: ['downstream, 1 hop', '5 h before'],
              subject: 'run_00000001',
            },
          ]
        : [],
    runbooks:
      it.number === 1040
        ? []
        : [
            {
              id: 'rbk_00000001',
              name: 'restart-service',
              description: 'Restart a service and wait until it runs',
              attached_by: 'the rule of SystemdUnitFailed',
            },
          ],
  };
}

export function ofIncident(method: string, id: string, verb: string | undefined, sent: Sent): Answer | null {
  const it = incidents.find((i) => i.id === id);
  if (!it) return null;
  if (method === 'GET' && verb === 'timeline')
    return page(
      events.filter((e) =>
        it.number === 1042 ? e.seq >= 4207 && e.seq < 4214 : e.seq === 4204 || e.seq === 4205 || e.seq === 4206,
      ),
    );
  if (verb === 'acknowledge')
    Object.assign(it, {
      state: 'acknowledged',
      acknowledged_by: people[0],
      acknowledged_at: new Date().toISOString(),
    });
  if (verb === 'assign') Object.assign(it, { lead: people.find((x) => x.id === sent.person) });
  if (verb === 'resolve') Object.assign(it, { state: 'resolved', resolved_at: new Date().toISOString() });
  if (verb === 'reopen') Object.assign(it, { state: 'triggered', resolved_at: null });
  return ok(incident(id));
}

export function ofItem(id: string, verb: string | undefined): Answer | null {
  const it = items.find((i) => i.id === id);
  if (!it) return null;
  if (verb === 'relations')
    return ok(
      edges()
        .filter((e) => e.from === id || e.to === id)
        .map((e) => ({
          ...e,
          from: brief(items.find((i) => i.id === e.from) as MockItem),
          to: brief(items.find((i) => i.id === e.to) as MockItem),
          source: 'agent',
          created_at: ago(9999),
        })),
    );
  if (verb === 'history') return page(events.filter((e) => e.subject === id));
  if (verb === 'packages')
    return page(
      ['bash 5.2.15-2', 'libssl3 3.0.15-1', 'nginx 1.26.2-1', 'openssl 3.0.15-1', 'systemd 252.31-1'].map((x) => ({
        name: x.split(' ')[0],
        version: x.split(' ')[1],
        architecture: 'amd64',
      })),
    );
  if (verb === 'impact')
    return ok({
      item: brief(it),
      affected: [{ item: brief(service('edge-01', 'haproxy.service')), distance: 1, path: [] }],
      counts: { service: 1 },
    });
  return ok({
    ...it,
    children: items.filter((i) => i.parent === id).map(brief),
    conflicts: [],
    identity: [{ kind: 'machine_id', value: '8f2b…' }],
  });
}

export function validated(sent: Sent): Answer {
  const bad = /\t/.exec(String(sent.text));
  return ok({
    inputs: [],
    steps: bad
      ? []
      : [
          { name: 'Look at it', kind: 'command' },
          { name: 'Restart', kind: 'service' },
          { name: 'Wait until it runs', kind: 'wait' },
        ],
    errors: bad
      ? [
          {
            line: String(sent.text).slice(0, bad.index).split('\n').length,
            column: 1,
            message: 'a tab cannot indent; use spaces',
          },
        ]
      : [],
  });
}

export function ofRunbook(id: string, verb: string | undefined): Answer | null {
  const it = runbooks.find((r) => r.id === id);
  if (verb === 'plan')
    return ok({
      hash: 'b3:71',
      risk: 'low',
      targets: [{ item_id: host('web-03').id, name: 'web-03', host_id: host('web-03').id, tags: {} }],
      waves: [['web-03']],
      steps: [
        {
          name: 'Look at it',
          kind: 'command',
          on: [{ target: 'web-03', what: 'systemctl status checkout.service' }],
        },
        { name: 'Restart', kind: 'service', on: [{ target: 'web-03', what: 'restart checkout.service' }] },
        {
          name: 'Wait until it runs',
          kind: 'wait',
          on: [{ target: 'web-03', what: 'node_systemd_unit_state{name="checkout.service",state="active"} == 1' }],
        },
      ],
    });
  if (verb === 'runs') return ok(runs[0]);
  return it ? ok(it) : null;
}
