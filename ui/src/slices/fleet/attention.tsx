/** What needs attention on a host: its alerts, and findings that no rule covers. */
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import type { Alert } from '@/api/alerting';
import { attributeText, type Item, type ItemDetail, itemsQuery } from '@/api/inventory';
import type { Status } from '@/api/types';
import { Action } from '@/parts/action';
import { Card } from '@/parts/card';
import { Empty } from '@/parts/states';
import { ofSeverity, StatusBadge } from '@/parts/status';
import { ago, span } from '@/parts/time';

export interface Finding {
  key: string;
  status: Status;
  title: string;
  detail: string;
  href: string;
  verb: string;
}

const DAY = 86_400_000;

/** Alerts first, then failed services and certificates that end within 30 days, unless an alert says the same. */
export function findings(alerts: Alert[], services: Item[], certificates: Item[], now: number): Finding[] {
  const found: Finding[] = alerts
    .filter((a) => !a.silenced_by && !a.suppressed_by)
    .map((a) => ({
      key: a.id,
      status: ofSeverity(a.severity),
      title: a.annotations.summary ?? a.name,
      detail: `${a.name} · ${ago(a.active_since, now)}`,
      href: `/alerts?open=${a.id}`,
      verb: 'Show',
    }));
  const said = (text: string) =>
    alerts.some((a) =>
      Object.values(a.labels).some((v) => text.includes(v) && v.length > 3 && v !== a.labels.instance),
    );
  for (const service of services) {
    if (attributeText(service, 'state') !== 'failed' || said(service.name)) continue;
    found.push({
      key: service.id,
      status: 'critical',
      title: `${service.name} failed`,
      detail: attributeText(service, 'description'),
      href: `/items/${service.id}`,
      verb: 'Show',
    });
  }
  for (const certificate of certificates) {
    const end = Date.parse(attributeText(certificate, 'not_after'));
    if (!(end - now < 30 * DAY) || said(certificate.name)) continue;
    found.push({
      key: certificate.id,
      status: end < now ? 'critical' : 'warning',
      title:
        end < now
          ? `Certificate ${certificate.name} expired`
          : `Certificate ${certificate.name} expires in ${span((end - now) / 1000, true)}`,
      detail: attributeText(certificate, 'subject'),
      href: `/items/${certificate.id}`,
      verb: 'Show',
    });
  }
  const rank: Status[] = ['critical', 'warning', 'unknown', 'maintenance', 'ok'];
  return found.sort((a, b) => rank.indexOf(a.status) - rank.indexOf(b.status));
}

export function Attention({ host, alerts }: { host: ItemDetail; alerts: Alert[] }) {
  const router = useRouter();
  const services = useQuery(itemsQuery(`kind=service on=${JSON.stringify(host.name)}`, 500)).data?.items ?? [];
  const certificates = useQuery(itemsQuery(`kind=certificate on=${JSON.stringify(host.name)}`, 200)).data?.items ?? [];
  const list = findings(alerts, services, certificates, Date.now());
  return (
    <Card title="Needs attention" aside={list.length > 0 ? String(list.length) : undefined} flush>
      {list.length === 0 && (
        <Empty title="Nothing needs attention">
          No alerts firing, no failed services, no certificates expiring within 30 days. Checked: {services.length}{' '}
          services and {certificates.length} certificates.
        </Empty>
      )}
      {list.slice(0, 8).map((finding) => (
        <div className="line" key={finding.key}>
          <div className="row" style={{ alignItems: 'flex-start', minWidth: 0 }}>
            <span style={{ height: 20, display: 'inline-flex' }}>
              <StatusBadge status={finding.status} />
            </span>
            <div style={{ minWidth: 0 }}>
              <b className="break">{finding.title}</b>
              <div className="muted break">{finding.detail}</div>
            </div>
          </div>
          <Action onClick={() => router.history.push(finding.href)}>{finding.verb}</Action>
        </div>
      ))}
    </Card>
  );
}
