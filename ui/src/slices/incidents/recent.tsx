/** What has changed lately: releases, runs, services, hosts. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { eventsQuery } from '@/api/events';
import { Card } from '@/parts/card';
import { Empty, Shown } from '@/parts/states';
import { Timeline } from '@/parts/timeline';

const TOLD =
  /^(run\.(started|finished)|change\.|service\.changed|agent\.(joined|lost|returned)|incident\.(opened|resolved)|item\.(created|changed)|silence\.created)/;

export function Recent() {
  const events = useQuery(eventsQuery({ limit: 200 }));
  const told = useMemo(
    () => ({ items: (events.data?.items ?? []).filter((e) => TOLD.test(e.topic)).slice(0, 7) }),
    [events.data],
  );
  return (
    <Card
      title="Recent changes"
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
        empty={{ when: () => told.items.length === 0, show: <Empty title="No recent changes" /> }}
      >
        {() => <Timeline events={told.items} />}
      </Shown>
    </Card>
  );
}
