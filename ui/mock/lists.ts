/** Lists, and what is looked up by words. */
import { agents, ago, alerts, changes, events, incidents, now, people, runbooks, runs } from './data.ts';
import { map, select } from './map.ts';
import { type Answer, ok, page } from './say.ts';
import { line } from './stream.ts';

export function logs(what: string): Answer {
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

export function list(key: string, p: URLSearchParams): Answer | null {
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
    case 'GET /map':
      return map();
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
