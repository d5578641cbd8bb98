/** Its alerts, and who feels it. */
import { Link } from '@tanstack/react-router';
import type { Alert } from '@/api/alerting';
import type { IncidentDetail } from '@/api/incidents';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { useDrawer } from '@/parts/drawer';
import { plural } from '@/parts/number';
import { Empty } from '@/parts/states';
import { ofSeverity, StatusBadge } from '@/parts/status';

export function IncidentAlerts({ alerts }: { alerts: Alert[] }) {
  const firing = alerts.filter((a) => a.state === 'firing').length;
  return (
    <Card
      title="Alerts in it"
      aside={alerts.length > 0 ? (firing > 0 ? `${firing} firing` : 'all over') : undefined}
      flush
    >
      {alerts.length === 0 && <Empty title="Declared by hand, without an alert" />}
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

export function WhoFeelsIt({ incident }: { incident: IncidentDetail }) {
  const drawer = useDrawer();
  return (
    <Card title="Who feels it" flush>
      {incident.items.map((item) => (
        <div className="line" key={item.id}>
          <div style={{ minWidth: 0 }}>
            <button type="button" className="plain under" onClick={() => drawer(item.id)}>
              <b className="break">{item.name}</b>
            </button>
            <div className="muted">{item.kind.replaceAll('_', ' ')}, where it fires</div>
          </div>
          <StatusBadge status={incident.resolved_at ? 'ok' : ofSeverity(incident.severity)} />
        </div>
      ))}
      {incident.impact.slice(0, 10).map((item) => (
        <div className="line" key={item.id}>
          <div style={{ minWidth: 0 }}>
            <Link to="/items/$id" params={{ id: item.id }} className="under">
              {item.name}
            </Link>
            <div className="muted">{item.via || `${item.kind}, ${plural(item.distance, 'step')} away`}</div>
          </div>
        </div>
      ))}
      {incident.items.length + incident.impact.length === 0 && <Empty title="No item is known to be affected" />}
    </Card>
  );
}
