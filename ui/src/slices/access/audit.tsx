/** Who did what: acts of people and programs, without what the system did by itself. */
import { TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { useMemo } from 'react';
import { eventsQuery } from '@/api/events';
import type { Event } from '@/api/types';
import { Moment } from '@/parts/ago';
import { Card } from '@/parts/card';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { tell } from '@/parts/story';
import { type Column, DataTable } from '@/parts/table';
import { useParam } from '@/parts/url';

const sentence = (event: Event) => {
  const told = tell(event);
  return `${told.subject}${told.text.startsWith(':') ? '' : ' '}${told.text}`.trim();
};

const COLUMNS: Column<Event>[] = [
  { id: 'at', head: 'When', value: (e) => e.at, cell: (e) => <Moment at={e.at} />, width: 130 },
  { id: 'who', head: 'Who', value: (e) => e.actor_name, cell: (e) => <b>{e.actor_name}</b> },
  { id: 'what', head: 'What', value: sentence, cell: (e) => <span className="break">{sentence(e)}</span> },
  {
    id: 'topic',
    head: 'Topic',
    value: (e) => e.topic,
    cell: (e) => <span className="mono muted">{e.topic}</span>,
    wide: true,
  },
  {
    id: 'subject',
    head: 'Subject',
    value: (e) => e.subject,
    cell: (e) => <span className="mono muted break">{e.subject}</span>,
    wide: true,
  },
];

export function Audit() {
  const [actor, setActor] = useParam('actor');
  const [settled] = useDebouncedValue(actor, 300);
  const events = useQuery(eventsQuery({ actor: settled || undefined, limit: 500 }));
  const router = useRouter();
  const shown = useMemo(
    () => (events.data?.items ?? []).filter((e) => settled !== '' || /^(person|service):/.test(e.actor)),
    [events.data, settled],
  );
  return (
    <div className="below">
      <Card
        title="Acts of people and programs"
        flush
        aside={
          <TextInput
            data-filter
            aria-label="Actor"
            placeholder="person:per_… or system:…"
            value={actor}
            onChange={(e) => setActor(e.currentTarget.value)}
            w={240}
          />
        }
      >
        <Shown
          query={events}
          what="The audit"
          empty={{ when: () => shown.length === 0, show: <Empty title="Nobody has done anything yet" /> }}
        >
          {() => (
            <DataTable
              rows={shown}
              columns={COLUMNS}
              id={(e) => String(e.seq)}
              label="Acts"
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
