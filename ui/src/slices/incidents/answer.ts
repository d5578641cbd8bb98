/** The sentence that opens the Now page. It never says more than what was read: incidents, alerts and hosts, all three. */
import type { Incident } from '@/api/incidents';
import type { Status } from '@/api/types';
import { plural } from '@/parts/number';
import { clock } from '@/parts/time';

export interface World {
  incidents: Incident[];
  /** There are more open incidents than those that were read. */
  more?: boolean;
  /** Alerts that fire and are neither silenced nor in maintenance; and those that are. */
  firing: number;
  muted: number;
  hosts: { status: Status; stale: boolean }[];
  waiting: number;
  /** What could not be read: "alerts", "hosts". */
  unread: string[];
  /** Since when the connection to the server is lost. */
  lostAt?: number | null;
}

const RANK: Record<string, number> = { sev1: 0, sev2: 1, sev3: 2, sev4: 3 };

/** Worst first, then the unacknowledged before those that somebody has, then the oldest. */
export function byImpact(incidents: Incident[]): Incident[] {
  const taken = (i: Incident) => (i.state === 'triggered' ? 0 : 1);
  return [...incidents].sort(
    (a, b) =>
      (RANK[a.severity] ?? 9) - (RANK[b.severity] ?? 9) ||
      taken(a) - taken(b) ||
      a.opened_at.localeCompare(b.opened_at),
  );
}

const count = (n: number, more: boolean | undefined, what: string) => (more ? `${n}+ ${what}s` : plural(n, what));
const and = (names: string[]) =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
const unhealthy = (world: World) => world.hosts.filter((h) => h.status !== 'ok' && h.status !== 'maintenance').length;

/** What speaks against "all systems operational", gravest first. */
function troubles(world: World): string[] {
  const stale = world.hosts.filter((h) => h.stale).length;
  const other = unhealthy(world) - stale;
  return [
    world.firing > 0 && `${plural(world.firing, 'alert')} firing`,
    stale > 0 && `${plural(stale, 'host')} not reporting`,
    world.firing === 0 && other > 0 && `${plural(other, 'host')} ${other === 1 ? 'is' : 'are'} not healthy`,
  ].filter((text): text is string => Boolean(text));
}

export function answer(world: World): string {
  const [first, ...rest] = byImpact(world.incidents);
  if (first) {
    if (rest.length === 0 && !world.more) return first.title;
    return `${first.title}, and ${count(rest.length, world.more, 'other open incident')}`;
  }
  if (world.lostAt) return `Status unknown since ${clock(world.lostAt)}: connection to the server lost`;
  if (world.unread.length > 0) return `Status unknown: ${and(world.unread)} cannot be read`;
  const found = troubles(world);
  if (found.length > 0) return `No open incident, but ${and(found)}`;
  if (world.hosts.length === 0) return 'No hosts are monitored yet';
  if (world.muted > 0) return `No alerts firing, except ${world.muted} silenced or in maintenance`;
  return 'All systems operational';
}

export function lede(world: World): string {
  const open = world.incidents.filter((i) => i.state === 'triggered').length;
  const healthy = world.hosts.filter((h) => h.status === 'ok').length;
  const stale = world.hosts.filter((h) => h.stale).length;
  const facts = [
    world.incidents.length > 0 &&
      `${count(world.incidents.length, world.more, 'open incident')}, ${open > 0 ? `${open} unacknowledged` : 'all acknowledged'}`,
    world.firing > 0 && `${plural(world.firing, 'alert')} firing`,
    world.muted > 0 && `${world.muted} silenced or in maintenance`,
    stale > 0 && `${plural(stale, 'host')} not reporting`,
    world.hosts.length > 0 && `${healthy} of ${plural(world.hosts.length, 'host')} healthy`,
  ].filter(Boolean);
  const calm = open === 0 && world.unread.length === 0 && !world.lostAt && troubles(world).length === 0;
  const next =
    world.waiting > 0 ? `${plural(world.waiting, 'approval')} pending.` : calm ? 'No action required.' : undefined;
  return [facts.length > 0 && `${facts.join(', ')}.`, next].filter(Boolean).join(' ');
}
