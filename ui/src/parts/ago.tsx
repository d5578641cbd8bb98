/** Times on the page, kept current. */
import { useEffect, useState } from 'react';
import { absolute, ago, moment, span } from './time';

/** The present, renewed every `every` milliseconds while the page is seen. */
export function useNow(every = 10_000): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => {
      if (!document.hidden) setNow(Date.now());
    }, every);
    return () => window.clearInterval(timer);
  }, [every]);
  return now;
}

export function Ago({ at }: { at: string | null | undefined }) {
  const now = useNow();
  if (!at) return <span className="faint">never</span>;
  return (
    <time dateTime={at} title={absolute(at)} className="nowrap">
      {ago(at, now)}
    </time>
  );
}

export function Moment({ at }: { at: string }) {
  return (
    <time dateTime={at} title={absolute(at)}>
      {moment(at)}
    </time>
  );
}

/** How long something lasts, to the second while it goes on. */
export function Since({ at, until, short }: { at: string; until?: string | null; short?: boolean }) {
  const now = useNow(1000);
  const end = until ? new Date(until).getTime() : now;
  return <span className="num">{span((end - new Date(at).getTime()) / 1000, short)}</span>;
}
