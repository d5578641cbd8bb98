/** Now: what needs me, why, and what to do about it. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { waitsForMe } from '@/api/automation';
import { changesQuery } from '@/api/change';
import { eventsQuery } from '@/api/events';
import { incidentStatsQuery, incidentsQuery } from '@/api/incidents';
import { Guarded } from '@/parts/action';
import { Card, Headline } from '@/parts/card';
import { type HostHealth, useHosts } from '@/parts/health';
import { plural } from '@/parts/number';
import { Empty, Failure, Shown, Skeleton } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { span } from '@/parts/time';
import { Timeline } from '@/parts/timeline';
import { answer, byImpact, lede } from './answer';
import { DeclareDialog } from './declare';
import { LastHour } from './lastHour';
import { IncidentRows } from './rows';
import { Standing } from './standing';

/** So many incidents stand here, the gravest; more would push all else out of sight. */
const MOST = 8;

export function Now() {
  const incidents = useQuery(incidentsQuery({ state: 'open', limit: 50 }));
  const { hosts, error, retry } = useHosts();
  const changes = useQuery(changesQuery({ state: 'requested', limit: 20 }));
  const runs = useQuery(waitsForMe);
  const [declaring, setDeclaring] = useState(false);
  const waiting = (changes.data?.items.length ?? 0) + (runs.data?.items.length ?? 0);
  const world = { incidents: incidents.data?.items ?? [], hosts: (hosts ?? []).map((h) => h.status), waiting };
  const known = incidents.data && hosts;
  return (
    <>
      <Headline
        tab={world.incidents.length > 0 ? `(${world.incidents.length}) Now` : 'Now'}
        title={known ? answer(world) : incidents.isError ? 'The state of things cannot be read' : 'Looking…'}
        lede={known ? lede(world) : ' '}
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
            <LastHour incidents={world.incidents} />
          </div>
        </div>
        <div className="stack">
          {waiting > 0 && (
            <Card className="second" title="Waiting for you" flush>
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
                    <div className="muted">waits for an answer</div>
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
            <Standing hosts={hosts ?? []} />
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
    <Empty title="No open incident">
      {stats?.mttr_s
        ? `The last ones were over after ${span(stats.mttr_s)} on average.`
        : 'What fires from here on shows up within a second.'}
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
      <Empty title="No host yet">
        One copied command adds one.{' '}
        <Link to="/hosts" search={{ add: 'yes' } as never} className="link">
          Add a host
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

const TOLD =
  /^(run\.(started|finished)|change\.|service\.changed|agent\.(joined|lost|returned)|incident\.(opened|resolved)|item\.(created|changed)|silence\.created)/;

function Recent() {
  const events = useQuery(eventsQuery({ limit: 200 }));
  const told = useMemo(
    () => ({ items: (events.data?.items ?? []).filter((e) => TOLD.test(e.topic)).slice(0, 7) }),
    [events.data],
  );
  return (
    <Card
      title="What changed"
      aside={
        <Link to="/timeline" className="under">
          timeline
        </Link>
      }
      flush={told.items.length === 0}
    >
      <Shown
        query={events}
        what="Recent events"
        empty={{ when: () => told.items.length === 0, show: <Empty title="Nothing has changed lately" /> }}
      >
        {() => <Timeline events={told.items} />}
      </Shown>
    </Card>
  );
}
