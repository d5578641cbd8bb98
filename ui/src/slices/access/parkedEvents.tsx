/** Events that a part of the server failed to process, with the error, and the ways to retry or dismiss them. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { dismissParkedEvent, type ParkedEvent, parkedEventsQuery, retryParkedEvent } from '@/api/platform';
import { useRefusal } from '@/api/session';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { Empty, Shown } from '@/parts/states';
import { complain, say } from '@/parts/toast';

export function ParkedEvents() {
  const refusal = useRefusal('parked_events.read');
  const parked = useQuery({ ...parkedEventsQuery, enabled: refusal === null });
  const queries = useQueryClient();
  const act = async (change: Promise<void>, done: string) => {
    try {
      await change;
      say(done);
    } catch (error) {
      complain(error, 'The parked event was not changed');
    }
    void queries.invalidateQueries({ queryKey: ['parked-events'] });
  };
  if (refusal !== null) return null;
  const list = parked.data?.items ?? [];
  return (
    <Card
      title="Parked events"
      flush
      aside={list.length > 0 ? `${list.length}${parked.data?.next ? '+' : ''}` : undefined}
    >
      <Shown
        query={parked}
        what="Parked events"
        empty={{
          when: (page) => page.items.length === 0,
          show: (
            <Empty title="No parked events">
              An event that a part of the server fails to process is parked here, so that the events after it are
              processed.
            </Empty>
          ),
        }}
      >
        {(page) => (
          <>
            {page.items.map((event) => (
              <Line
                key={`${event.consumer}/${event.seq}`}
                event={event}
                retry={() => void act(retryParkedEvent(event), 'Retry requested')}
                dismiss={() => void act(dismissParkedEvent(event), 'Dismissed')}
              />
            ))}
          </>
        )}
      </Shown>
    </Card>
  );
}

function Line({ event, retry, dismiss }: { event: ParkedEvent; retry: () => void; dismiss: () => void }) {
  return (
    <div className="line">
      <div style={{ minWidth: 0 }}>
        <b className="break">{event.topic ?? 'Event no longer kept'}</b>{' '}
        <span className="muted num">
          #{event.seq} · {event.consumer}
        </span>
        <div className="break">{event.error}</div>
        <div className="muted break">
          {event.subject !== null && <>{event.subject} · </>}parked <Ago at={event.parked_at} />
        </div>
      </div>
      <span className="row wrap" style={{ justifyContent: 'flex-end' }}>
        <Guarded
          permission="parked_events.write"
          refusal={event.topic === null ? 'The event is no longer kept' : null}
          onClick={retry}
        >
          Retry
        </Guarded>
        <Guarded permission="parked_events.write" tone="quiet" onClick={dismiss}>
          Dismiss
        </Guarded>
      </span>
    </div>
  );
}
