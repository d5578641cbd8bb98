/** Events as sentences: what happened, to what, and as what status it counts. */
import type { Event, Status } from '@/api/types';
import { bytes } from './number';
import { ofRun, ofService, ofSeverity } from './status';
import { moment } from './time';

export interface Told {
  status: Status;
  /** The sentence, without the subject. */
  text: string;
  /** What it happened to, to be set in bold. */
  subject: string;
  /** Details after the sentence. */
  detail: string;
}

type Data = Record<string, unknown>;
const str = (data: Data, ...keys: string[]): string => {
  for (const key of keys) {
    const value = data[key];
    if (typeof value === 'string' && value !== '') return value;
    if (typeof value === 'number') return String(value);
  }
  return '';
};
const labels = (data: Data): Data => (typeof data.labels === 'object' && data.labels ? (data.labels as Data) : {});
const notes = (data: Data): Data =>
  typeof data.annotations === 'object' && data.annotations ? (data.annotations as Data) : {};

type Teller = (data: Data, event: Event) => Partial<Told>;

const alertDetail = (data: Data) => {
  const on = str(labels(data), 'instance', 'host');
  return [str(data, 'name'), on && `on ${on}`].filter(Boolean).join(' ');
};

/** Names that {@link named} has put beside the ids. */
const name = (data: Data, key: string) => str(data, `${key}_name`);
const relation = (data: Data) =>
  `${str(data, 'kind').replaceAll('_', ' ') || 'related to'} ${name(data, 'to') || 'another item'}`;

/** The event with names beside the ids that it carries, as far as they are known. */
export function named(event: Event, names: Map<string, string>): Event {
  const data = event.data;
  if (!data) return event;
  const more: Data = {};
  for (const [key, value] of Object.entries(data)) {
    const known = typeof value === 'string' ? names.get(value) : undefined;
    if (!known) continue;
    if (key === 'from' || key === 'to') more[`${key}_name`] = known;
    else more[key] = known;
  }
  return Object.keys(more).length > 0 ? { ...event, data: { ...data, ...more } } : event;
}

const names = (data: Data, key: string) => (Array.isArray(data[key]) ? (data[key] as unknown[]).map(String) : []);

/** One package by its name and versions, many by their number. */
function packagesWords(data: Data): string {
  return ['added', 'updated', 'removed']
    .map((key) => {
      const all = names(data, key);
      const count = Number(data[`${key}_count`] ?? all.length);
      if (count === 0) return '';
      const [only] = all;
      return count === 1 && only ? `${key === 'updated' ? '' : `${key} `}${only}` : `${count} ${key}`;
    })
    .filter(Boolean)
    .join(', ');
}

/** Steps are counted from 1 where people read them. */
function stepWords(data: Data): string {
  const step = typeof data.step === 'number' ? `Step ${data.step + 1}` : '';
  return [step, str(data, 'step_name', 'name')].filter(Boolean).join(', ') || str(data, 'step') || 'Step';
}

const TELLERS: Record<string, Teller> = {
  'host.discovered': (d) => ({
    status: 'ok',
    text: 'discovered',
    subject: str(d, 'name'),
    detail: `${str(d, 'packages')} packages`,
  }),
  'package.changed': (d) => ({
    status: 'unknown',
    text: ': packages changed',
    subject: str(d, 'host', 'name') || 'Host',
    detail: packagesWords(d),
  }),
  'message.queued': (d) => ({
    status: 'unknown',
    text: 'notification queued',
    subject: str(d, 'channel_name') || 'A channel',
    detail: str(d, 'title'),
  }),
  'rules.changed': (d) => ({ status: 'unknown', text: 'changed', subject: `Rules ${str(d, 'name', 'pack')}`.trim() }),
  'run.requested': (d) => ({ status: 'unknown', text: 'requested', subject: `Run of ${str(d, 'runbook')}` }),
  'run.held_back': (d) => ({
    status: 'warning',
    text: 'held back',
    subject: `Run of ${str(d, 'runbook')}`,
    detail: str(d, 'note', 'reason'),
  }),
  'alert.fired': (d) => ({
    status: ofSeverity(str(d, 'severity')),
    text: 'firing',
    subject: str(notes(d), 'summary') || str(d, 'name'),
    detail: `alert ${alertDetail(d)}`,
  }),
  'alert.resolved': (d) => ({ status: 'ok', text: 'resolved', subject: str(d, 'name'), detail: alertDetail(d) }),
  'alert.silenced': (d) => ({ status: 'maintenance', text: 'silenced', subject: str(d, 'name') }),
  'alert.suppressed': (d) => ({ status: 'maintenance', text: 'muted by maintenance', subject: str(d, 'name') }),

  'service.changed': (d) => ({
    status: ofService(str(d, 'state')),
    text: `is ${str(d, 'state')}`,
    subject: str(d, 'name', 'service'),
    detail: [str(d, 'host_name') && `on ${str(d, 'host_name')}`, str(d, 'manager'), str(d, 'reason')]
      .filter(Boolean)
      .join(' · '),
  }),
  'agent.joined': (d, e) => ({ status: 'ok', text: 'joined', subject: str(d, 'name', 'host') || e.subject }),
  'agent.connected': (d, e) => ({
    status: 'ok',
    text: 'connected',
    subject: str(d, 'name', 'host') || e.actor_name,
  }),
  'agent.disconnected': (d, e) => ({
    status: 'unknown',
    text: 'disconnected',
    subject: str(d, 'name', 'host') || e.actor_name,
  }),
  'agent.lost': (d, e) => ({
    status: 'critical',
    text: 'stopped reporting',
    subject: str(d, 'name', 'host') || e.subject,
  }),
  'agent.returned': (d, e) => ({
    status: 'ok',
    text: 'reporting again',
    subject: str(d, 'name', 'host') || e.subject,
    detail: str(d, 'gap_s') && `silent for ${str(d, 'gap_s')} s`,
  }),
  'message.sent': (d) => ({
    status: 'ok',
    text: 'notified',
    subject: str(d, 'channel_name', 'channel') || 'A channel',
    detail: str(d, 'title'),
  }),
  'message.failed': (d) => ({
    status: 'critical',
    text: 'notification failed',
    subject: str(d, 'channel_name', 'channel') || 'A channel',
    detail: str(d, 'error', 'title'),
  }),
  'run.started': (d) => ({
    status: 'maintenance',
    text: 'started',
    subject: str(d, 'runbook_name', 'runbook', 'name'),
  }),
  'run.waiting': (d) => ({
    status: 'warning',
    text: 'awaiting approval',
    subject: str(d, 'runbook_name', 'runbook', 'name'),
  }),
  'run.step_finished': (d) => ({
    status: ofRun(str(d, 'state')),
    text: str(d, 'state'),
    subject: stepWords(d),
    detail: str(d, 'target_name', 'target', 'host'),
  }),
  'run.finished': (d) => ({
    status: ofRun(str(d, 'state')),
    text: str(d, 'state') || 'finished',
    subject: str(d, 'runbook_name', 'runbook', 'name'),
  }),
  'command.finished': (d) => ({
    status: ofRun(stateWord(d.state)),
    text: `ended: ${stateWord(d.state)}`,
    subject: 'Command',
  }),
  'item.created': (d) => ({
    status: 'unknown',
    text: 'discovered',
    subject: str(d, 'name') || 'Item',
    detail: str(d, 'kind'),
  }),
  'item.changed': (d) => {
    const subject = str(d, 'name', 'item') || 'Item';
    // Of containers and database servers.
    if (d.attribute === 'running' && typeof d.after === 'boolean')
      return { status: d.after ? 'ok' : 'warning', text: d.after ? 'running again' : 'stopped', subject };
    return changed(d, subject);
  },
  'item.retired': (d) => ({ text: 'retired', subject: str(d, 'name') || 'Item', detail: str(d, 'kind') }),
  'relation.created': (d, e) => ({
    text: `now ${relation(d)}`,
    subject: name(d, 'from') || `An item on ${e.actor_name}`,
  }),
  'relation.removed': (d, e) => ({
    text: `no longer ${relation(d)}`,
    subject: name(d, 'from') || `An item on ${e.actor_name}`,
  }),
  'change.requested': (d) => ({ status: 'warning', text: 'approval requested', subject: str(d, 'title') }),
  'change.approved': (d, e) => ({ status: 'ok', text: `approved by ${e.actor_name}`, subject: str(d, 'title') }),
  'change.rejected': (d, e) => ({ status: 'critical', text: `rejected by ${e.actor_name}`, subject: str(d, 'title') }),
  'change.granted': (d) => ({ status: 'maintenance', text: 'granted', subject: str(d, 'title') }),
  'session.opened': (_, e) => ({ text: 'signed in', subject: e.actor_name }),
  'session.closed': (_, e) => ({ text: 'signed out', subject: e.actor_name }),
  'session.refused': (d, e) => ({
    status: 'warning',
    text: 'sign-in refused',
    subject: str(d, 'login') || e.actor_name,
  }),
  'setup.completed': (d) => ({ status: 'ok', text: 'became the first administrator', subject: str(d, 'name') }),
  'grant.added': (d) => ({ text: `granted: ${str(d, 'role')}`, subject: 'Role' }),
  'grant.removed': (d) => ({ text: `removed: ${str(d, 'role')}`, subject: 'Role' }),
  'channel.tested': (d) => ({ text: 'tested', subject: str(d, 'name') || 'A channel' }),
  'freeze.created': (d) => ({ status: 'maintenance', text: 'freeze created', subject: str(d, 'title') }),
  'window.created': (d) => ({ text: 'change window created', subject: str(d, 'title') }),
  'telemetry.gap': (d) => ({ status: 'warning', text: 'gap in samples', subject: str(d, 'host', 'name') }),
  'silence.created': (d, e) => ({
    status: 'maintenance',
    text: 'created a silence',
    subject: e.actor_name,
    detail: str(d, 'comment'),
  }),
};

function stateWord(state: unknown): string {
  if (typeof state === 'string') return state;
  const is = (state as Data | null)?.is;
  return typeof is === 'string' ? is : '';
}

/** `memory_bytes` as people say it. */
export const attributeWords = (name: string) => name.replace(/_bytes$/, '').replaceAll('_', ' ');

/** Lists as JSON and times in UTC inside of a sentence, as people read them. */
export function readable(text: string): string {
  return text
    .replace(/\[("(?:[^"\\]|\\.)*"(?:,\s*)?)*\]/g, (list) => {
      try {
        return (JSON.parse(list) as string[]).join(', ') || 'nothing';
      } catch {
        return list;
      }
    })
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (time) => moment(time));
}

function short(value: unknown, attribute = ''): string {
  if (value === null || value === undefined) return 'nothing';
  if (typeof value === 'number' && attribute.endsWith('_bytes')) return bytes(value);
  const text =
    typeof value === 'string' ? value : Array.isArray(value) ? value.map(String).join(', ') : JSON.stringify(value);
  const told = readable(text ?? 'nothing');
  return told.length > 60 ? `${told.slice(0, 59)}…` : told;
}

/** An attribute with another value. */
const changed = (d: Data, subject: string): Told => ({
  status: 'unknown',
  text: `: ${attributeWords(str(d, 'attribute'))} is ${d.after === undefined || d.after === null ? 'removed' : `now ${short(d.after, str(d, 'attribute'))}`}`,
  subject,
  detail: d.before === undefined || d.before === null ? '' : `was ${short(d.before, str(d, 'attribute'))}`,
});

/** Incidents say themselves what happened, in a sentence. */
function tellIncident(data: Data, event: Event): Told {
  const verb = event.topic.slice('incident.'.length);
  if (verb === 'commented')
    return { status: 'unknown', subject: event.actor_name, text: `: ${str(data, 'note', 'text')}`, detail: '' };
  const status: Record<string, Status> = {
    acknowledged: 'ok',
    mitigated: 'ok',
    assigned: 'ok',
    resolved: 'ok',
    closed: 'ok',
    grew: 'warning',
    reminded: 'warning',
  };
  const bad = verb === 'opened' || verb === 'reopened';
  const part = typeof data.alert === 'object' && data.alert ? str(data.alert as Data, 'reason') : '';
  return {
    status: bad ? ofSeverity(str(data, 'severity')) : (status[verb] ?? 'unknown'),
    subject: '',
    text: str(data, 'text') || `Incident ${verb.replaceAll('_', ' ')}`,
    // The sentence of an incident often ends with the reason already.
    detail: [str(data, 'text').includes(part) ? '' : part, str(data, 'note')].filter(Boolean).join(' · '),
  };
}

/** Kinds that come in crowds and say much the same. */
const CROWDS = /^(alert\.(fired|resolved)|incident\.grew|item\.|relation\.|message\.queued|agent\.|service\.)/;
const CROWD = 4;

/** Neighbours of one kind, when there are many, as the first of them and the rest. */
export function fold(events: Event[]): { first: Event; rest: Event[] }[] {
  const folds: { first: Event; rest: Event[] }[] = [];
  for (let at = 0; at < events.length; ) {
    const first = events[at] as Event;
    let end = at + 1;
    if (CROWDS.test(first.topic)) while (events[end]?.topic === first.topic) end++;
    if (end - at >= CROWD) folds.push({ first, rest: events.slice(at + 1, end) });
    else for (const event of events.slice(at, end)) folds.push({ first: event, rest: [] });
    at = end;
  }
  return folds;
}

export function tell(event: Event): Told {
  const data = event.data ?? {};
  if (event.topic.startsWith('incident.')) return tellIncident(data, event);
  const told = TELLERS[event.topic]?.(data, event) ?? {};
  const [noun = '', verb = ''] = event.topic.split('.');
  return {
    status: told.status ?? 'unknown',
    text: told.text ?? verb.replaceAll('_', ' '),
    subject: told.subject || str(data, 'name', 'title') || capital(noun.replaceAll('_', ' ')),
    detail: told.detail ?? '',
  };
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** Who did it, when that says something. */
export function by(event: Event): string {
  return event.actor.startsWith('person') || event.actor.startsWith('service') ? `by ${event.actor_name}` : '';
}

/** Where an event's subject has a page. */
export function address(subject: string): string | null {
  const [prefix] = subject.split('_');
  const pages: Record<string, string> = { inc: '/incidents/', itm: '/items/', run: '/runs/', rbk: '/runbooks/' };
  const page = prefix ? pages[prefix] : undefined;
  return page ? page + subject : null;
}
