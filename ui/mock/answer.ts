/** The API's answers during development. Acts change the data in memory. */
import {
  agents,
  ago,
  alerts,
  changes,
  events,
  host,
  incidents,
  items,
  type MockItem,
  now,
  people,
  runbooks,
  runs,
  service,
} from './data.ts';
import { prometheus } from './prom.ts';
import { line } from './stream.ts';

type Answer = { status: number; body?: unknown };
const ok = (body: unknown): Answer => ({ status: 200, body });
const page = (list: unknown[]): Answer => ok({ items: list, next: null });
const missing: Answer = {
  status: 404,
  body: { title: 'There is no such thing, or you may not see it', status: 404, detail: 'not there', type: '' },
};
let signedIn = process.env.MAINSTAY_MOCK !== 'first' && process.env.MAINSTAY_MOCK !== 'out';
let needed = process.env.MAINSTAY_MOCK === 'first';
const PERMISSIONS = [
  'incidents.write',
  'runs.start',
  'runs.write',
  'silences.write',
  'maintenance.write',
  'runbooks.write',
  'changes.approve',
  'items.write',
  'people.write',
  'teams.write',
  'grants.write',
  'tokens.write',
  'service_accounts.write',
  'channels.write',
  'rules.write',
  'join_tokens.write',
  'agents.write',
  'freezes.write',
];
const session = {
  actor: { id: 'per_00000001', kind: 'person', name: 'Ada Berg', login: 'ada' },
  roles: ['administrator'],
  grants: [],
  permissions: PERMISSIONS,
  csrf_token: 'mock',
};
const brief = (i: MockItem) => ({ id: i.id, kind: i.kind, name: i.name, state: 'active', parent: i.parent });

function select(q: string): MockItem[] {
  const words = q.split(/\s+/).filter(Boolean);
  return items.filter((item) =>
    words.every((word) => {
      const [key = '', value = ''] = word.split(/=(.*)/s);
      if (key === 'kind') return item.kind === value;
      if (key === 'name') return new RegExp(`^${value.replaceAll('*', '.*')}$`).test(item.name);
      if (key.startsWith('tag:')) return (item.tags as Record<string, string>)[key.slice(4)] === value;
      if (key === 'on') return items.find((i) => i.id === item.parent)?.name === value.replaceAll('"', '');
      return item.name.includes(word);
    }),
  );
}

const CALLS: [string, string, string][] = [
  ['web-01', 'checkout.service', 'db-01'],
  ['web-02', 'checkout.service', 'db-01'],
  ['web-03', 'checkout.service', 'db-01'],
  ['web-04', 'checkout.service', 'db-01'],
];
const edges = () => [
  ...CALLS.flatMap(([web, svc, db]) => [
    { from: service(web, svc).id, to: service(db, 'postgresql.service').id, kind: 'connects_to', sources: ['agent'] },
    {
      from: service(web, svc).id,
      to: service('cache-01', 'redis.service').id,
      kind: 'connects_to',
      sources: ['agent'],
    },
    { from: service(web, 'nginx.service').id, to: service(web, svc).id, kind: 'connects_to', sources: ['agent'] },
  ]),
  ...['edge-01', 'edge-02'].flatMap((e) =>
    ['web-01', 'web-02', 'web-03', 'web-04'].map((w) => ({
      from: service(e, 'haproxy.service').id,
      to: service(w, 'nginx.service').id,
      kind: 'connects_to',
      sources: ['agent'],
    })),
  ),
  {
    from: service('db-02', 'postgresql.service').id,
    to: service('db-01', 'postgresql.service').id,
    kind: 'depends_on',
    sources: ['manual'],
  },
];

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

export function answer(method: string, url: URL, sent: Record<string, unknown>): Answer {
  const path = url.pathname.replace('/api/v1', '');
  const p = url.searchParams;
  if (url.pathname.startsWith('/prometheus/')) return prometheus(url.pathname, p);
  const key = `${method} ${path}`;
  if (key === 'GET /setup') return ok({ needed });
  if (key === 'POST /setup' || key === 'POST /session') {
    if (key === 'POST /session' && sent.password === 'wrong')
      return {
        status: 401,
        body: { title: 'Sign in first', status: 401, detail: 'login or password is wrong', type: '' },
      };
    needed = false;
    signedIn = true;
    return ok(session);
  }
  if (!signedIn) return { status: 401, body: { title: 'Sign in first', status: 401, detail: 'sign in', type: '' } };
  if (key === 'GET /session') return ok(session);
  if (key === 'DELETE /session') {
    signedIn = false;
    return { status: 204 };
  }
  return things(key, p, sent) ?? missing;
}

function things(key: string, p: URLSearchParams, sent: Record<string, unknown>): Answer | null {
  const one = /^(\w+) \/([\w-]+)\/([\w]+)(?:\/([\w-]+))?/.exec(key);
  const [, method, noun, id = '', verb] = one ?? [];
  if (noun === 'incidents' && id === 'stats') return ok({ open: 2, mtta_s: 74, mttr_s: 1290 });
  if (noun === 'incidents') {
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
  if (noun === 'items' && one) {
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
  if (noun === 'runs') return ok(runs.find((r) => r.id === id));
  if (noun === 'runbooks' && id === 'validate') {
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
  if (noun === 'runbooks') {
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
  if (noun === 'silences' && id === 'preview') return ok({ alerts: alerts.slice(0, 2), now: 2, last_week: 5 });
  if (noun === 'alerts' && id !== 'summary')
    return ok({
      alert: alerts.find((a) => a.id === id),
      silence: null,
      maintenance: null,
      history: events.filter((e) => e.subject === id),
      episodes: [],
    });
  if (noun === 'logs') return logs(id);
  if (noun === 'events' && verb === 'chain') return ok(events.filter((e) => e.seq >= 4207 && e.seq <= 4213));
  if (method !== 'GET' && one) return ok({});
  return list(key, p);
}

function logs(what: string): Answer {
  if (what === 'labels') return ok(['instance', 'unit', 'program']);
  if (what === 'histogram')
    return ok({
      step_ms: 30000,
      is_complete: true,
      buckets: Array.from({ length: 60 }, (_, i) => ({
        at: new Date(now - (60 - i) * 30000).toISOString(),
        total: 20 + ((i * 37) % 40),
        errors: i > 46 ? 6 + (i % 5) : i % 9 === 0 ? 1 : 0,
        warnings: i % 4,
      })),
    });
  return ok({
    items: Array.from({ length: 120 }, (_, i) => line(now - i * 2300, i)),
    next: null,
    is_complete: true,
    scanned_lines: 84210,
  });
}

function list(key: string, p: URLSearchParams): Answer | null {
  switch (key) {
    case 'GET /incidents': {
      const state = p.get('state');
      return page(incidents.filter((i) => !state || (state === 'open' ? !i.resolved_at : i.state === state)));
    }
    case 'GET /alerts':
      return page(
        alerts.filter(
          (a) =>
            (!p.get('item') || a.item_id === p.get('item')) &&
            (!p.get('severity') || a.severity === p.get('severity')) &&
            p.get('state') !== 'resolved',
        ),
      );
    case 'GET /items':
      return page(select(p.get('q') ?? '').slice(0, Number(p.get('limit') ?? 100)));
    case 'GET /agents':
      return page(agents);
    case 'GET /events':
      return page(
        [...events]
          .reverse()
          .filter(
            (e) =>
              (!p.get('topic') || e.topic.startsWith(p.get('topic') as string)) &&
              (!p.get('subject') || e.subject === p.get('subject')),
          ),
      );
    case 'GET /changes':
      return page(changes.filter((c) => !p.get('state') || c.state === p.get('state')));
    case 'GET /runs':
      return page(
        runs.filter(
          (r) =>
            (!p.get('state') || r.state === p.get('state')) &&
            (!p.get('incident_id') || r.incident_id === p.get('incident_id')),
        ),
      );
    case 'GET /runbooks':
      return ok(runbooks);
    case 'GET /map': {
      const links = edges();
      const nodes = items.filter((i) => links.some((e) => e.from === i.id || e.to === i.id));
      return ok({
        nodes: nodes.map((i) => ({
          id: i.id,
          kind: i.kind,
          name: i.name,
          host: i.parent,
          host_name: items.find((h) => h.id === i.parent)?.name ?? null,
          team: null,
          tags: {},
        })),
        edges: links,
        is_cut: false,
      });
    }
    case 'GET /silences':
      return page([
        {
          id: 'sil_00000001',
          matchers: [{ name: 'alertname', op: '=', value: 'HighLoad' }],
          comment: 'Builds all day',
          starts_at: ago(4000),
          ends_at: new Date(now + 6e6).toISOString(),
          phase: 'active',
          created_at: ago(4000),
          created_by: 'per_00000001',
          created_by_name: 'Ada Berg',
          version: 1,
        },
      ]);
    case 'GET /people':
      return page(people);
    case 'GET /teams':
      return page([{ id: 'team_00000001', name: 'Web team', description: 'Shop and edge' }]);
    case 'GET /service-accounts':
      return page([
        { id: 'svc_1', name: 'deploy', description: 'The pipeline', is_disabled: false, created_at: ago(99999) },
      ]);
    case 'GET /tokens':
      return page([
        {
          id: 'tok_1',
          owner: 'svc_1',
          name: 'pipeline',
          permissions: ['changes.*'],
          created_at: ago(99999),
          expires_at: new Date(now + 9e9).toISOString(),
          used_at: ago(300),
        },
      ]);
    case 'GET /join-tokens':
      return page([]);
    case 'POST /join-tokens':
      return ok({
        token: 'ms-join-7f3a',
        command:
          'curl -fsSL https://ops.example.org:7443/join.sh | sudo sh -s -- --server ops.example.org:7443 --token ms-join-7f3a --ca sha256:91c2…',
        expires_at: new Date(now + 36e5).toISOString(),
        id: 'jtk_1',
      });
    case 'GET /channels':
      return page([
        {
          id: 'chn_1',
          name: 'On-call mail',
          config: {
            type: 'email',
            host: 'mail.example.org',
            port: 587,
            security: 'starttls',
            from: 'mainstay@example.org',
            to: ['oncall@example.org'],
          },
          secrets_set: ['password'],
          is_enabled: true,
          subscription: { min_severity: 'warning', kinds: [], teams: [] },
          title_template: '',
          text_template: '',
          created_at: ago(99999),
          sent_at: ago(371),
          failed_at: null,
          error: null,
        },
        {
          id: 'chn_2',
          name: 'Ops webhook',
          config: { type: 'webhook', url: 'https://hooks.example.org/ops' },
          secrets_set: ['signing_key'],
          is_enabled: true,
          subscription: { min_severity: 'critical', kinds: [], teams: [] },
          title_template: '',
          text_template: '',
          created_at: ago(99999),
          sent_at: ago(371),
          failed_at: null,
          error: null,
        },
      ]);
    case 'GET /messages':
      return page([
        {
          id: 'msg_1',
          channel: 'chn_1',
          target: 'oncall@example.org',
          state: 'sent',
          kind: 'incident_opened',
          severity: 'critical',
          title: 'checkout.service on web-03 has failed',
          text: '',
          url_path: '/incidents/inc_00000042',
          attempts: 1,
          error: null,
          created_at: ago(371),
          next_attempt_at: null,
          sent_at: ago(371),
        },
        {
          id: 'msg_2',
          channel: 'chn_2',
          target: '',
          state: 'waiting',
          kind: 'incident_opened',
          severity: 'critical',
          title: 'checkout.service on web-03 has failed',
          text: '',
          url_path: null,
          attempts: 3,
          error: 'connection refused',
          created_at: ago(371),
          next_attempt_at: ago(-20),
          sent_at: null,
        },
      ]);
    case 'GET /rules':
      return ok({
        packs: [{ name: 'host', title: 'Hosts', is_enabled: true, text: 'groups: []\n' }],
        groups: [
          {
            name: 'host',
            interval_ms: 15000,
            rules: [
              {
                key: 'host/1',
                name: 'SystemdUnitFailed',
                kind: 'alert',
                expr: 'node_systemd_unit_state{state="failed"} == 1',
                for_ms: 0,
                keep_firing_for_ms: 0,
                is_on_ingest: true,
                active: 1,
                last_error: null,
                evaluated_at: ago(2),
                evaluation_ms: 0.4,
              },
            ],
          },
        ],
      });
    case 'GET /rule-files':
      return ok([]);
    case 'GET /maintenance':
    case 'GET /freezes':
      return page([]);
    default:
      return null;
  }
}
