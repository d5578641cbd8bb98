/** What the map says of its nodes. Hosts and outside endpoints stand on it, and are not counted as services. */
import type { Alert } from '@/api/alerting';
import type { MapNode } from '@/api/inventory';
import type { Status } from '@/api/types';
import { type HostHealth, isMuted, isStale } from '@/parts/health';
import { plural } from '@/parts/number';
import { ofService, ofSeverity, worst } from '@/parts/status';

export interface MapWorld {
  /** All that fires; `null` when it could not be read. */
  alerts: Alert[] | null;
  /** States of services by item. */
  states: Map<string, string>;
  hosts: Map<string, Pick<HostHealth, 'status' | 'agent'>>;
}

/** The worst of the alerts on a node and of what is known of itself; never OK where nothing is known. */
export function statusOf(node: MapNode, world: MapWorld): Status {
  if (node.kind === 'host') return world.hosts.get(node.id)?.status ?? 'unknown';
  const own = (world.alerts ?? []).filter(
    (a) => a.item_id === node.id || (a.labels.name === node.name && a.labels.instance === node.host_name),
  );
  const loud = worst(own.filter((a) => !isMuted(a)).map((a) => ofSeverity(a.severity)));
  if (loud === 'critical' || loud === 'warning') return loud;
  const host = node.host ? world.hosts.get(node.host) : undefined;
  // What was known of it before its host went silent is no longer known.
  if (world.alerts === null || !host?.agent || isStale(host.agent)) return 'unknown';
  if (own.some(isMuted)) return 'maintenance';
  const state = world.states.get(node.id);
  if (node.kind !== 'service') return state === undefined || state === '' ? 'ok' : ofService(state);
  return state ? ofService(state) : 'unknown';
}

type Kind = 'service' | 'host' | 'endpoint';
export const kindOf = (node: MapNode): Kind =>
  node.kind === 'host' || node.kind === 'endpoint' ? node.kind : 'service';

/** `12 services, 3 hosts, 1 endpoint`. */
export function counts(nodes: MapNode[]): string {
  const all = (kind: Kind) => nodes.filter((n) => kindOf(n) === kind).length;
  return (['service', 'host', 'endpoint'] as const)
    .filter((kind) => all(kind) > 0)
    .map((kind) => plural(all(kind), kind))
    .join(', ');
}

export function headline(nodes: MapNode[], statuses: Map<string, Status>): string {
  if (nodes.length === 0) return 'No connections between services seen yet';
  const services = nodes.filter((n) => kindOf(n) === 'service');
  const of = (...wanted: Status[]) => services.filter((n) => wanted.includes(statuses.get(n.id) ?? 'unknown'));
  const ill = of('critical', 'warning');
  const unknown = of('unknown').length;
  const held = of('maintenance').length;
  const hosts = nodes.filter(
    (n) => n.kind === 'host' && ['critical', 'warning', 'unknown'].includes(statuses.get(n.id) ?? 'unknown'),
  );
  const first = ill.find((n) => statuses.get(n.id) === 'critical') ?? ill[0];
  const rest = [
    unknown > 0 && `${unknown} unknown`,
    held > 0 && `${held} in maintenance or silenced`,
    hosts.length > 0 && `${plural(hosts.length, 'host')} not healthy`,
  ].filter(Boolean);
  const more = rest.length > 0 ? `; ${rest.join(', ')}` : '';
  if (ill.length === 1 && first) {
    return `${first.name}${first.host_name ? ` on ${first.host_name}` : ''} is unhealthy${more}`;
  }
  if (ill.length > 1) return `${ill.length} of ${plural(services.length, 'service')} unhealthy${more}`;
  if (more) return `${plural(services.length, 'service')}: ${rest.join(', ')}`;
  return services.length === 1 ? '1 service healthy' : `All ${plural(services.length, 'service')} healthy`;
}
