/** The API's answers during development. Acts change the data in memory. */
import { alerts, events, runs } from './data.ts';
import { list, logs } from './lists.ts';
import { ofIncident, ofItem, ofRunbook, validated } from './objects.ts';
import { prometheus } from './prom.ts';
import { type Answer, missing, ok } from './say.ts';

let signedIn = process.env.MAINSTAY_MOCK !== 'first' && process.env.MAINSTAY_MOCK !== 'out';
let needed = process.env.MAINSTAY_MOCK === 'first';
const PERMISSIONS = [
  'changes.read',
  'runbooks.read',
  'events.read',
  'snapshots.read',
  'service_accounts.read',
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
  if (key === 'GET /address') return ok({ public_url: 'https://ops.example.org', is_loopback: false });
  return things(key, p, sent) ?? missing;
}

function things(key: string, p: URLSearchParams, sent: Record<string, unknown>): Answer | null {
  const one = /^(\w+) \/([\w-]+)\/([\w]+)(?:\/([\w-]+))?/.exec(key);
  const [, method, noun, id = '', verb] = one ?? [];
  if (noun === 'incidents' && id === 'stats') return ok({ open: 2, mtta_s: 74, mttr_s: 1290 });
  if (noun === 'incidents') return ofIncident(method ?? 'GET', id, verb, sent);
  if (noun === 'items' && one) return ofItem(id, verb);
  if (noun === 'runs') return ok(runs.find((r) => r.id === id));
  if (noun === 'runbooks' && id === 'validate') return validated(sent);
  if (noun === 'runbooks') return ofRunbook(id, verb);
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
