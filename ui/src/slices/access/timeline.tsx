/** Everything that happened, in one order; each step with its chain of causes. */
import { SegmentedControl, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { chainQuery, eventsPage } from '@/api/events';
import { onEvent } from '@/api/live';
import type { Event } from '@/api/types';
import { Action } from '@/parts/action';
import { Card, Headline } from '@/parts/card';
import { plural } from '@/parts/number';
import { Empty, Failure, Shown, Skeleton } from '@/parts/states';
import { Timeline } from '@/parts/timeline';
import { useParam } from '@/parts/url';

const TOPICS = [
  { value: '', label: 'All' },
  { value: 'incident.', label: 'Incidents' },
  { value: 'alert.', label: 'Alerts' },
  { value: 'service.', label: 'Services' },
  { value: 'item.', label: 'Inventory' },
  { value: 'run.', label: 'Runs' },
  { value: 'change.', label: 'Changes' },
  { value: 'agent.', label: 'Agents' },
  { value: 'message.', label: 'Messages' },
];

export function TimelinePage() {
  const [topic, setTopic] = useParam('topic');
  const [subject, setSubject] = useParam('subject');
  const [seq, setSeq] = useParam('seq');
  const [settled] = useDebouncedValue(subject, 300);
  const queries = useQueryClient();
  const filter = { topic: topic || undefined, subject: settled || undefined, limit: 100 };
  const pages = useInfiniteQuery(eventsPage(filter));
  const events = useMemo(() => pages.data?.pages.flatMap((p) => p.items) ?? [], [pages.data]);
  const fresh = useFresh(topic, settled);
  const catchUp = () => {
    fresh.clear();
    void queries.invalidateQueries({ queryKey: ['timeline'] });
  };
  return (
    <>
      <Headline
        tab="Timeline"
        title={fresh.count > 0 ? `${plural(fresh.count, 'new event')} ` : 'All events, in order'}
        lede="Every event with its actor and cause. The log is append-only."
      />
      <div className="row wrap below">
        <div className="scroll">
          <SegmentedControl size="xs" aria-label="Topics" value={topic} onChange={setTopic} data={TOPICS} />
        </div>
        <TextInput
          data-filter
          aria-label="Subject"
          placeholder="Id of the subject"
          value={subject}
          onChange={(e) => setSubject(e.currentTarget.value)}
          w={280}
        />
      </div>
      {seq !== '' && <Chain seq={Number(seq)} close={() => setSeq('')} />}
      <div className="below">
        <Card
          title="Events"
          aside={fresh.count > 0 ? <Action onClick={catchUp}>{fresh.count} new: show</Action> : 'newest first, live'}
        >
          {pages.isError && <Failure error={pages.error} what="The timeline" retry={() => void pages.refetch()} />}
          {pages.isPending && <Skeleton rows={8} />}
          {pages.data && events.length === 0 && (
            <Empty title="No matching events">Choose another topic or clear the subject.</Empty>
          )}
          <Timeline
            events={events}
            extra={(event) => (
              <button
                type="button"
                className="plain faint small under"
                style={{ minHeight: 24 }}
                onClick={() => setSeq(String(event.seq))}
              >
                {event.topic} · {event.seq}
                {event.cause !== null && event.cause !== undefined ? ' · why?' : ''}
              </button>
            )}
          />
          {pages.hasNextPage && (
            <div style={{ marginTop: 10 }}>
              <Action busy={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
                Older
              </Action>
            </div>
          )}
        </Card>
      </div>
    </>
  );
}

/** Counts what has come since the page was read, so that rows do not move under the pointer. */
function useFresh(topic: string, subject: string) {
  const [count, setCount] = useState(0);
  useEffect(() => {
    setCount(0);
    return onEvent((event: Event) => {
      if (event.topic.startsWith(topic) && (subject === '' || event.subject === subject)) setCount((n) => n + 1);
    });
  }, [topic, subject]);
  return { count, clear: () => setCount(0) };
}

function Chain({ seq, close }: { seq: number; close: () => void }) {
  const chain = useQuery(chainQuery(seq));
  return (
    <div className="below">
      <Card title={`Causes and effects of event ${seq}`} aside={<Action onClick={close}>Close</Action>}>
        <Shown query={chain} what="Causes">
          {(events) => (
            <Timeline
              events={events}
              extra={(event) => (event.seq === seq ? <span className="chip">this event</span> : null)}
            />
          )}
        </Shown>
      </Card>
    </div>
  );
}
