/** The sentence that opens the Now page. */
import type { Incident } from '@/api/incidents';
import type { Status } from '@/api/types';
import { plural } from '@/parts/number';

export interface World {
  incidents: Incident[];
  hosts: Status[];
  waiting: number;
}

const RANK: Record<string, number> = { sev1: 0, sev2: 1, sev3: 2, sev4: 3 };

/** Worst first, then the oldest, those that nobody has taken before those in hand. */
export function byImpact(incidents: Incident[]): Incident[] {
  const taken = (i: Incident) => (i.state === 'triggered' ? 0 : 1);
  return [...incidents].sort(
    (a, b) =>
      (RANK[a.severity] ?? 9) - (RANK[b.severity] ?? 9) ||
      taken(a) - taken(b) ||
      a.opened_at.localeCompare(b.opened_at),
  );
}

export function answer(world: World): string {
  const [first, ...rest] = byImpact(world.incidents);
  if (first && rest.length === 0) return `${first.title}; everything else holds`;
  if (first) return `${first.title}, and ${plural(rest.length, 'other open incident')}`;
  if (world.hosts.length === 0) return 'No host is watched yet';
  const ill = world.hosts.filter((s) => s === 'critical' || s === 'warning').length;
  if (ill > 0) return `No open incident; ${plural(ill, 'host')} ${ill === 1 ? 'needs' : 'need'} a look`;
  return 'All is well';
}

export function lede(world: World): string {
  const healthy = world.hosts.filter((s) => s === 'ok').length;
  const open = world.incidents.filter((i) => i.state === 'triggered').length;
  const parts = [
    world.incidents.length > 0 &&
      `${plural(world.incidents.length, 'open incident')}${open > 0 ? `, ${open} not yet acknowledged` : ', all acknowledged'}`,
    world.hosts.length > 0 && `${healthy} of ${plural(world.hosts.length, 'host')} healthy`,
  ].filter(Boolean);
  const wait =
    world.waiting > 0
      ? `${plural(world.waiting, 'thing')} ${world.waiting === 1 ? 'waits' : 'wait'} for an answer.`
      : 'Nothing else needs you.';
  return `${parts.join(', ')}${parts.length > 0 ? '. ' : ''}${wait}`;
}
