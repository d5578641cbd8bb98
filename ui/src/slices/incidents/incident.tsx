/** One incident: what, likely causes, impact, runbooks, and its timeline. */
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import {
  began,
  type IncidentDetail,
  incidentQuery,
  incidentsQuery,
  incidentTimelineQuery,
  isOver,
  overAt,
} from '@/api/incidents';
import { useSession } from '@/api/session';
import { Guarded } from '@/parts/action';
import { Since } from '@/parts/ago';
import { Card, Headline } from '@/parts/card';
import { useKeys } from '@/parts/keys';
import { plural } from '@/parts/number';
import { Empty, Failure, Shown, Skeleton } from '@/parts/states';
import { ofSeverity, StatusBadge, sevWord } from '@/parts/status';
import { Timeline } from '@/parts/timeline';
import { type Asked, IncidentDialogs } from './dialogs';
import { ImpactCard, IncidentAlerts } from './evidence';
import { IncidentChart } from './incidentChart';
import { MoreMenu } from './moreMenu';
import { Related } from './related';
import { Remedies } from './remedies';
import { Suspects, Symptoms } from './suspects';
import { useVerbs } from './verbs';

export function IncidentPage() {
  const { id: named } = useParams({ strict: false }) as { id: string };
  const number = numberOf(named);
  const found = useQuery({ ...incidentsQuery({ number: number ?? 0, limit: 1 }), enabled: number !== null });
  const id = number === null ? named : found.data?.items[0]?.id;
  const read = useQuery({ ...incidentQuery(id ?? ''), enabled: id !== undefined });
  const isNone = number !== null && found.data !== undefined && id === undefined;
  const incident = found.isError ? found : read;
  if (read.data && !found.isError) return <Loaded incident={read.data} />;
  if (isNone) return <NoSuch number={number} />;
  return (
    <>
      <Headline
        tab="Incident"
        crumbs={[
          { text: 'Incidents', href: '/incidents' },
          { text: named, mono: true },
        ]}
        title={incident.isError ? 'Incident cannot be shown' : 'Loading incident…'}
      />
      <div className="card below">
        {incident.isError ? (
          <Failure error={incident.error} retry={() => void incident.refetch()} />
        ) : (
          <Skeleton rows={5} />
        )}
      </div>
    </>
  );
}

function Loaded({ incident }: { incident: IncidentDetail }) {
  const verbs = useVerbs();
  const me = useSession()?.actor.id;
  const [asked, ask] = useState<Asked>(null);
  const over = isOver(incident);
  const status = over ? 'ok' : ofSeverity(incident.severity);
  useKeys({
    e: () => void verbs.acknowledge(incident),
    a: () => ask('assign'),
    c: () => ask('comment'),
    r: () => document.getElementById('remedies')?.querySelector('button')?.focus(),
  });
  return (
    <>
      <Headline
        tab={incident.title}
        crumbs={[
          { text: 'Incidents', href: '/incidents' },
          { text: `inc ${incident.number}`, mono: true },
        ]}
        title={incident.title}
        facts={
          <>
            <StatusBadge status={status} pill>
              {incident.merged_into
                ? 'Merged'
                : over
                  ? incident.state === 'closed'
                    ? 'Closed'
                    : 'Resolved'
                  : sevWord(incident.severity)}
            </StatusBadge>
            {incident.merged_into && (
              <Link to="/incidents/$id" params={{ id: incident.merged_into }} className="link">
                {incident.resolution ?? 'Merged into another incident'}
              </Link>
            )}
            {incident.reopened > 0 && (
              <span>reopened {incident.reopened === 1 ? 'once' : `${incident.reopened} times`}</span>
            )}
            <span>
              open for{' '}
              <b>
                <Since at={began(incident)} until={overAt(incident)} />
              </b>
            </span>
            <span>
              {incident.state === 'triggered'
                ? 'Unacknowledged'
                : incident.acknowledged_by
                  ? `acknowledged by ${incident.acknowledged_by.id === me ? 'you' : incident.acknowledged_by.name}`
                  : incident.state}
            </span>
            <span>
              {incident.lead ? (
                <>
                  lead <b>{incident.lead.id === me ? 'you' : incident.lead.name}</b>
                </>
              ) : (
                'Unassigned'
              )}
            </span>
          </>
        }
        actions={
          <>
            <MoreMenu incident={incident} ask={ask} />
            <Guarded permission="incidents.write" keys="c" onClick={() => ask('comment')}>
              Add update
            </Guarded>
            <Guarded permission="incidents.write" keys="a" onClick={() => ask('assign')}>
              Assign
            </Guarded>
            {over ? (
              <Guarded permission="incidents.write" onClick={() => ask('reopen')}>
                Reopen
              </Guarded>
            ) : incident.state === 'triggered' ? (
              <span className="hide-s">
                <Guarded
                  permission="incidents.write"
                  tone="primary"
                  keys="e"
                  onClick={() => void verbs.acknowledge(incident)}
                >
                  Acknowledge
                </Guarded>
              </span>
            ) : (
              <Guarded permission="incidents.write" tone="primary" onClick={() => ask('resolve')}>
                Resolve
              </Guarded>
            )}
          </>
        }
      />
      {incident.state === 'triggered' && (
        <div className="only-s thumb">
          <Guarded permission="incidents.write" tone="primary" onClick={() => void verbs.acknowledge(incident)}>
            Acknowledge
          </Guarded>
        </div>
      )}
      <div className="cols side needs">
        <div className="stack">
          <div className="first stack">
            <Suspects incident={incident} />
            <Symptoms incident={incident} />
          </div>
          <div className="fourth">
            <IncidentChart incident={incident} />
          </div>
          <div className="last">
            <Story id={incident.id} />
          </div>
        </div>
        <div className="stack">
          <div className="second stack">
            <Remedies incident={incident} held={incident.state !== 'triggered' && !over} />
          </div>
          <div className="second">
            <Related incident={incident} />
          </div>
          <div className="third half">
            <IncidentAlerts alerts={incident.alerts} />
          </div>
          <div className="third half">
            <ImpactCard incident={incident} />
          </div>
        </div>
      </div>
      <IncidentDialogs incident={incident} asked={asked} close={() => ask(null)} />
    </>
  );
}

/** `1` and `#1` as people say it; ids are not numbers. */
export function numberOf(text: string): number | null {
  return /^#?\d{1,15}$/.test(text) ? Number(text.replace('#', '')) : null;
}

function NoSuch({ number }: { number: number }) {
  return (
    <Headline
      tab="Incident"
      crumbs={[{ text: 'Incidents', href: '/incidents' }]}
      title={`There is no incident ${number}`}
      lede="It does not exist, or your roles do not cover it."
    />
  );
}

function Story({ id }: { id: string }) {
  const story = useQuery(incidentTimelineQuery(id));
  return (
    <Card
      title="Timeline"
      aside={story.data ? plural(story.data.length, 'event') : undefined}
      flush={story.data?.length === 0}
    >
      <Shown
        query={story}
        what="The timeline"
        empty={{ when: (e) => e.length === 0, show: <Empty title="No events yet" /> }}
      >
        {(events) => <Timeline events={events} />}
      </Shown>
    </Card>
  );
}
