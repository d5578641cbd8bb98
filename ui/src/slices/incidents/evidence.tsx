/** Its alerts, and its impact. */
import type { Alert } from '@/api/alerting';
import { type IncidentDetail, isOver } from '@/api/incidents';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { useDrawer } from '@/parts/drawer';
import { useHostNames } from '@/parts/names';
import { plural } from '@/parts/number';
import { Empty } from '@/parts/states';
import { ofSeverity, StatusBadge } from '@/parts/status';

export function IncidentAlerts({ alerts }: { alerts: Alert[] }) {
  const firing = alerts.filter((a) => a.state === 'firing').length;
  return (
    <Card
      title="Alerts"
      aside={alerts.length > 0 ? `${firing} firing, ${alerts.length - firing} resolved` : undefined}
      flush
    >
      {alerts.length === 0 && <Empty title="Declared manually, without an alert" />}
      {alerts.slice(0, 12).map((alert) => (
        <div className="line" key={alert.id}>
          <div style={{ minWidth: 0 }}>
            <b className="break">{alert.annotations.summary ?? alert.name}</b>
            <div className="muted break">
              {[alert.name, alert.labels.instance].filter(Boolean).join(' · ')} · <Ago at={alert.active_since} />
            </div>
          </div>
          <StatusBadge status={alert.state === 'resolved' ? 'ok' : ofSeverity(alert.severity)} />
        </div>
      ))}
      {alerts.length > 12 && <div className="line muted">and {plural(alerts.length - 12, 'more')}</div>}
    </Card>
  );
}

interface Felt {
  key: string;
  name: string;
  /** The items of that name, the first opens. */
  ids: string[];
  hosts: string[];
  how: string;
  fires: boolean;
}

/** Items of one name and kind as one line, with the hosts that they are on. */
export function felt(incident: IncidentDetail, hosts: Map<string, string>): Felt[] {
  const lines = new Map<string, Felt>();
  const firing = new Set(incident.items.map((i) => i.id));
  const add = (id: string, name: string, how: string, fires: boolean) => {
    const key = `${fires} ${name} ${how}`;
    const line = lines.get(key) ?? { key, name, ids: [], hosts: [], how, fires };
    line.ids.push(id);
    const host = hosts.get(id);
    if (host) line.hosts.push(host);
    lines.set(key, line);
  };
  const here = (kind: string) => `${kind.replaceAll('_', ' ')}, alert source`;
  for (const item of incident.items) add(item.id, item.name, here(item.kind), true);
  const alerting = new Set(incident.alerts.filter((a) => a.state === 'firing').map((a) => a.item_id));
  for (const item of incident.impact)
    if (firing.has(item.id)) continue;
    else if (alerting.has(item.id)) add(item.id, item.name, here(item.kind), true);
    else add(item.id, item.name, item.via || `${item.kind}, ${plural(item.distance, 'hop')} away`, false);
  for (const line of lines.values()) line.hosts.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  return [...lines.values()].sort((a, b) => Number(b.fires) - Number(a.fires));
}

const some = (hosts: string[]) =>
  hosts.length > 4 ? `${hosts.slice(0, 3).join(', ')} and ${hosts.length - 3} more` : hosts.join(', ');

export function ImpactCard({ incident }: { incident: IncidentDetail }) {
  const drawer = useDrawer();
  const hosts = useHostNames(incident.items.length + incident.impact.length > 0);
  const lines = felt(incident, hosts);
  return (
    <Card title="Impact" flush>
      {lines.slice(0, 12).map((line) => (
        <div className="line" key={line.key}>
          <div style={{ minWidth: 0 }}>
            <button type="button" className="plain under" onClick={() => drawer(line.ids[0] ?? '')}>
              {line.fires ? <b className="break">{line.name}</b> : <span className="break">{line.name}</span>}
            </button>
            {line.ids.length > 1 && <span className="muted"> × {line.ids.length}</span>}
            <div className="muted break">{[line.how, some(line.hosts)].filter(Boolean).join(' · ')}</div>
          </div>
          {line.fires && <StatusBadge status={isOver(incident) ? 'ok' : ofSeverity(incident.severity)} />}
        </div>
      ))}
      {lines.length > 12 && <div className="line muted">and {plural(lines.length - 12, 'more')}</div>}
      {lines.length === 0 && <Empty title="No affected items known" />}
    </Card>
  );
}
