/** A story read top to bottom, where every step names its cause. */
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { Event } from '@/api/types';
import { StatusBadge } from './status';
import { address, by, tell } from './story';
import { absolute, clock, isToday, moment } from './time';

/** What led to an event, when the story tells of it. */
export function causeOf(event: Event, known: Map<number, Event>): string {
  const parent = event.cause === null || event.cause === undefined ? undefined : known.get(event.cause);
  if (!parent) return '';
  const told = tell(parent);
  return `← ${told.subject} ${told.text.replace(/^: /, '')}`;
}

export function Timeline({ events, extra }: { events: Event[]; extra?: (event: Event) => ReactNode }) {
  const known = new Map(events.map((event) => [event.seq, event]));
  return (
    <ol className="tl">
      {events.map((event) => {
        const told = tell(event);
        const why = [
          told.detail,
          causeOf(event, known),
          told.text.includes(by(event)) || by(event) === `by ${told.subject}` ? '' : by(event),
        ]
          .filter(Boolean)
          .join(' · ');
        const href = address(event.subject);
        return (
          <li key={event.seq}>
            <time dateTime={event.at} title={absolute(event.at)}>
              {isToday(event.at) ? clock(event.at) : moment(event.at)}
            </time>
            <StatusBadge status={told.status} />
            <div className="told">
              <div className="break">
                {href ? (
                  <Link to={href} className="under">
                    <b>{told.subject || told.text}</b>
                  </Link>
                ) : (
                  <b>{told.subject}</b>
                )}
                {told.subject === ''
                  ? href
                    ? ''
                    : told.text
                  : told.text.startsWith(':')
                    ? told.text
                    : ` ${told.text}`}
                {why && <div className="muted">{why}</div>}
              </div>
              {extra && <span className="nowrap">{extra(event)}</span>}
            </div>
          </li>
        );
      })}
    </ol>
  );
}
