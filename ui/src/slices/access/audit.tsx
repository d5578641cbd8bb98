/** Who did what: acts of people and programs, without what the system did by itself. */
import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { useMemo } from 'react';
import { eventsQuery } from '@/api/events';
import type { Event } from '@/api/types';
import { Moment } from '@/parts/ago';
import { Card } from '@/parts/card';
import { middle, plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { tell } from '@/parts/story';
import { type Column, DataTable } from '@/parts/table';
import { useParam } from '@/parts/url';

const sentence = (event: Event) => {
  const told = tell(event);
  return `${told.subject}${told.text.startsWith(':') ? '' : ' '}${told.text}`.trim();
};

const COLUMNS: Column<Event>[] = [
  { id: 'at', head: 'Time', value: (e) => e.at, cell: (e) => <Moment at={e.at} />, width: 130 },
  { id: 'who', head: 'Actor', value: (e) => e.actor_name, cell: (e) => <b>{e.actor_name}</b>, width: 150 },
  {
    id: 'what',
    head: 'Action',
    value: sentence,
    cell: (e) => <span className="break">{sentence(e)}</span>,
    main: true,
  },
  {
    id: 'topic',
    head: 'Topic',
    value: (e) => e.topic,
    cell: (e) => <span className="mono muted">{e.topic}</span>,
    roomy: true,
  },
  {
    id: 'subject',
    head: 'Subject',
    value: (e) => e.subject,
    cell: (e) => (
      <span className="mono muted nowrap" title={e.subject}>
        {middle(e.subject, 18)}
      </span>
    ),
    roomy: true,
  },
];

/** Those who have acted, to choose from. */
function actors(events: Event[], chosen: string) {
  const names = new Map(events.map((e) => [e.actor, e.actor_name]));
  if (chosen !== '' && !names.has(chosen)) names.set(chosen, chosen);
  return [...names]
    .map(([value, label]) => ({ value, label: label || value }))
    .sort((a, b) => a.label.localeCompare(b.label));
}

export function Audit() {
  const [actor, setActor] = useParam('actor');
  const all = useQuery(eventsQuery({ limit: 500 }));
  const events = useQuery(eventsQuery({ actor: actor || undefined, limit: 500 }));
  const router = useRouter();
  const shown = useMemo(
    () => (events.data?.items ?? []).filter((e) => actor !== '' || /^(person|service):/.test(e.actor)),
    [events.data, actor],
  );
  return (
    <div className="below">
      <Card
        title="Actions by people and service accounts"
        flush
        aside={
          <Select
            aria-label="Actor"
            placeholder="All actors"
            data={actors(all.data?.items ?? [], actor)}
            value={actor || null}
            onChange={(value) => setActor(value ?? '')}
            clearable
            searchable
            w={220}
          />
        }
      >
        <Shown
          query={events}
          what="The audit"
          empty={{ when: () => shown.length === 0, show: <Empty title="No actions recorded yet" /> }}
        >
          {() => (
            <DataTable
              rows={shown}
              columns={COLUMNS}
              id={(e) => String(e.seq)}
              label="Actions"
              csv="audit"
              sort="-at"
              aside={plural(shown.length, 'act')}
              open={(e) => router.history.push(`/timeline?seq=${e.seq}`)}
            />
          )}
        </Shown>
      </Card>
    </div>
  );
}
