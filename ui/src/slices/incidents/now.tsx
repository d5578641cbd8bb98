/** Now: what needs me, why, and what to do about it. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { firingAlertsQuery } from '@/api/alerting';
import { waitsForMe } from '@/api/automation';
import { changesQuery } from '@/api/change';
import { incidentStatsQuery, incidentsQuery } from '@/api/incidents';
import { useFeed } from '@/api/live';
import { useMay } from '@/api/session';
import { Guarded } from '@/parts/action';
import { Card, Headline } from '@/parts/card';
import { type HostHealth, isMuted, isStale, useHosts } from '@/parts/health';
import { plural } from '@/parts/number';
import { Empty, Failure, Shown, Skeleton } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { span } from '@/parts/time';
import { answer, byImpact, lede, type World } from './answer';
import { DeclareDialog } from './declare';
import { FleetHealth } from './fleetHealth';
import { LastHour } from './lastHour';
import { Recent } from './recent';
import { IncidentRows } from './rows';

/** So many incidents are listed here, the gravest; more would push all else out of sight. */
const MOST = 8;

/** Everything that the headline speaks of; `null` until all of it was read or has failed. */
function useWorld(waiting: number): World | null {
  const incidents = useQuery(openIncidents);
  const alerts = useQuery(firingAlertsQuery);
  const { hosts, error } = useHosts();
  const feed = useFeed();
  const isRead = (query: { data?: unknown; isError: boolean }) => query.data !== undefined || query.isError;
  if (!isRead(incidents) || !isRead(alerts) || (!hosts && !error)) return null;
  const firing = alerts.data?.items ?? [];
  const muted = firing.filter(isMuted).length;
  return {
    incidents: incidents.data?.items ?? [],
    more: Boolean(incidents.data?.next),
    firing: firing.length - muted,
    muted,
    hosts: (hosts ?? []).map((h) => ({ status: h.status, stale: isStale(h.agent) })),
    waiting,
    unread: [incidents.isError && 'incidents', alerts.isError && 'alerts', error && 'hosts'].filter(
      (name): name is string => Boolean(name),
    ),
    lostAt: feed.state === 'stale' ? feed.since : null,
  };
}

const openIncidents = incidentsQuery({ state: 'open', limit: 200 });

export function Now() {
  const incidents = useQuery(openIncidents);
  const { hosts, error, retry } = useHosts();
  const changes = useQuery({ ...changesQuery({ state: 'requested', limit: 20 }), enabled: useMay('changes.read') });
  const runs = useQuery({ ...waitsForMe, enabled: useMay('runbooks.read') });
  const [declaring, setDeclaring] = useState(false);
  const waiting = (changes.data?.items.length ?? 0) + (runs.data?.items.length ?? 0);
  const world = useWorld(waiting);
  const open = incidents.data?.items ?? [];
  return (
    <>
      <Headline
        tab={open.length > 0 ? `(${open.length}) Now` : 'Now'}
        title={world ? answer(world) : 'Loading…'}
        lede={world ? lede(world) : ' '}
        actions={
          <Guarded permission="incidents.write" onClick={() => setDeclaring(true)}>
            Declare incident
          </Guarded>
        }
      />
      <div className="cols side needs">
        <div className="stack">
          <Card
            className="first"
            title="Open incidents"
            flush
            aside={
              <span className="hide-s">
                acknowledge <kbd>e</kbd> · open <kbd>↵</kbd>
              </span>
            }
          >
            <Shown
              query={incidents}
              what="Open incidents"
              empty={{ when: (p) => p.items.length === 0, show: <NoIncidents /> }}
            >
              {(page) => (
                <>
                  <IncidentRows incidents={byImpact(page.items).slice(0, MOST)} />
                  {page.items.length > MOST && (
                    <Link to="/incidents" className="line link">
                      and {plural(page.items.length - MOST, 'more open incident')}
                    </Link>
                  )}
                </>
              )}
            </Shown>
          </Card>
          <Card className="third" title="Hosts" aside={hosts && summary(hosts)} flush={!hosts || hosts.length === 0}>
            {error ? (
              <Failure error={error} retry={retry} what="Hosts" />
            ) : hosts ? (
              <HostCells hosts={hosts} />
            ) : (
              <Skeleton rows={2} />
            )}
          </Card>
          <div className="fourth">
            <LastHour incidents={open} />
          </div>
        </div>
        <div className="stack">
          {waiting > 0 && (
            <Card className="second" title="Pending approvals" flush>
              {(changes.data?.items ?? []).map((change) => (
                <div className="line" key={change.id}>
                  <div>
                    Approve <b>{change.title}</b>
                    <div className="muted">
                      {plural(change.targets.length, 'target')}, risk {change.risk}, by {change.requested_by_name}
                    </div>
                  </div>
                  <Link to="/changes" search={{ open: change.id } as never} className="link nowrap">
                    Review
                  </Link>
                </div>
              ))}
              {(runs.data?.items ?? []).map((run) => (
                <div className="line" key={run.id}>
                  <div>
                    Run of <b>{run.runbook}</b>
                    <div className="muted">Awaiting approval</div>
                  </div>
                  <Link to="/runs/$id" params={{ id: run.id }} className="link nowrap">
                    Review
                  </Link>
                </div>
              ))}
            </Card>
          )}
          <div className="last half">
            <Recent />
          </div>
          <div className="last half">
            <FleetHealth hosts={hosts} />
          </div>
        </div>
      </div>
      <DeclareDialog open={declaring} close={() => setDeclaring(false)} />
    </>
  );
}

function NoIncidents() {
  const stats = useQuery(incidentStatsQuery).data;
  return (
    <Empty title="No open incidents">
      {stats?.mttr_s ? `Mean time to resolve: ${span(stats.mttr_s)}.` : 'New incidents appear here within a second.'}
    </Empty>
  );
}

function summary(hosts: HostHealth[]): string {
  const count = (s: string) => hosts.filter((h) => h.status === s).length;
  return [
    `${hosts.length} ·`,
    `${count('ok')} ok`,
    ...['critical', 'warning', 'unknown', 'maintenance'].filter((s) => count(s) > 0).map((s) => `${count(s)} ${s}`),
  ]
    .join(', ')
    .replace('·,', '·');
}

const ORDER = ['critical', 'warning', 'unknown', 'maintenance', 'ok'];

function HostCells({ hosts }: { hosts: HostHealth[] }) {
  const sorted = useMemo(
    () =>
      [...hosts].sort(
        (a, b) =>
          ORDER.indexOf(a.status) - ORDER.indexOf(b.status) ||
          a.item.name.localeCompare(b.item.name, 'en', { numeric: true }),
      ),
    [hosts],
  );
  if (sorted.length === 0) {
    return (
      <Empty title="No hosts yet">
        One command adds a host.{' '}
        <Link to="/hosts" search={{ add: 'yes' } as never} className="link">
          Add host
        </Link>
      </Empty>
    );
  }
  const shown = sorted.slice(0, 60);
  return (
    <div className="row wrap tight">
      {shown.map((h) => (
        <Link
          key={h.item.id}
          to="/hosts/$id"
          params={{ id: h.item.id }}
          className="cell"
          title={`${h.item.name}: ${h.word}`}
        >
          <StatusBadge status={h.status} />
          <span className="cut">{h.item.name}</span>
        </Link>
      ))}
      {sorted.length > shown.length && (
        <Link to="/hosts" className="muted under">
          and {sorted.length - shown.length} more
        </Link>
      )}
    </div>
  );
}
