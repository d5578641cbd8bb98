/** A story read top to bottom, where every step names its cause; many steps alike are one line that opens. */
import { Link } from '@tanstack/react-router';
import { type ReactNode, useMemo, useState } from 'react';
import type { Event } from '@/api/types';
import { useNames } from './names';
import { plural } from './number';
import { StatusBadge } from './status';
import { address, by, fold, named, tell } from './story';
import { absolute, clock, isToday, moment } from './time';

/** What led to an event, when the story tells of it. */
export function causeOf(event: Event, known: Map<number, Event>): string {
  const parent = event.cause === null || event.cause === undefined ? undefined : known.get(event.cause);
  if (!parent) return '';
  // That a message was queued says nothing beside that it was sent.
  if (parent.topic === 'message.queued') return causeOf(parent, known);
  const told = tell(parent);
  return `← ${told.subject} ${told.text.replace(/^: /, '')}`;
}

/** Messages that have gone out are told once. */
function withoutQueued(events: Event[]): Event[] {
  const out = new Set(events.filter((e) => /^message\.(sent|failed)$/.test(e.topic)).map((e) => e.cause));
  return events.filter((e) => e.topic !== 'message.queued' || !out.has(e.seq));
}

type Extra = (event: Event) => ReactNode;

export function Timeline({ events: given, extra }: { events: Event[]; extra?: Extra }) {
  const names = useNames(given);
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const events = useMemo(() => given.map((event) => named(event, names)), [given, names]);
  const known = useMemo(() => new Map(events.map((event) => [event.seq, event])), [events]);
  const toggle = (seq: number) => {
    const next = new Set(open);
    if (!next.delete(seq)) next.add(seq);
    setOpen(next);
  };
  return (
    <ol className="tl">
      {fold(withoutQueued(events)).flatMap(({ first, rest }) => {
        const shown = [<Step key={first.seq} event={first} known={known} extra={extra} />];
        if (rest.length === 0) return shown;
        const isOpen = open.has(first.seq);
        if (isOpen) shown.push(...rest.map((e) => <Step key={e.seq} event={e} known={known} extra={extra} />));
        shown.push(
          <li key={`more-${first.seq}`}>
            <span />
            <span className="more" aria-hidden="true" />
            <button type="button" className="plain link" aria-expanded={isOpen} onClick={() => toggle(first.seq)}>
              {isOpen ? 'Show the first of these only' : `and ${plural(rest.length, 'more like it', 'more like it')}`}
            </button>
          </li>,
        );
        return shown;
      })}
    </ol>
  );
}

function Step({ event, known, extra }: { event: Event; known: Map<number, Event>; extra?: Extra }) {
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
    <li>
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
          {told.subject === '' ? (href ? '' : told.text) : told.text.startsWith(':') ? told.text : ` ${told.text}`}
          {why && <div className="muted">{why}</div>}
        </div>
        {extra && <span className="nowrap">{extra(event)}</span>}
      </div>
    </li>
  );
}
