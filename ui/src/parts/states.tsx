/** Loading, empty, failed, forbidden: a panel says which, and what to do. */
import type { UseQueryResult } from '@tanstack/react-query';
import { type ReactNode, useEffect, useState } from 'react';
import { ProblemError } from '@/api/client';
import { useRefusal } from '@/api/session';
import { Action } from './action';
import { CopyButton } from './copy';
import { StatusBadge } from './status';

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <b>{title}</b>
      {children && <div>{children}</div>}
    </div>
  );
}

export function Failure({ error, retry, what }: { error: unknown; retry?: () => void; what?: string }) {
  const problem = error instanceof ProblemError ? error : null;
  if (problem?.status === 403) {
    return (
      <div className="empty" role="status">
        <StatusBadge status="unknown">No permission</StatusBadge>
        <div>
          {problem.detail || 'Your roles do not include this.'} An administrator can grant it under Admin, People.
        </div>
      </div>
    );
  }
  return (
    <div className="problem" role="alert">
      <b>{what ? `${what}: ${lower(problem?.title ?? 'failed')}` : (problem?.title ?? 'This failed')}</b>
      <span className="muted break">
        {problem ? problem.detail : error instanceof Error ? error.message : String(error)}
      </span>
      <span className="row">
        {retry && <Action onClick={retry}>Try again</Action>}
        {problem?.requestId && (
          <span className="row faint">
            request <span className="mono">{problem.requestId}</span>{' '}
            <CopyButton value={problem.requestId} label="Copy the request id" />
          </span>
        )}
      </span>
    </div>
  );
}

function NoPermission({ why }: { why: string }) {
  return (
    <div className="empty" role="status">
      <StatusBadge status="unknown">No permission</StatusBadge>
      <div>{why}</div>
    </div>
  );
}

const lower = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);

/** Bars of the size of the rows that will come; nothing at all during the first 200 ms. */
export function Skeleton({ rows = 3 }: { rows?: number }) {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const timer = window.setTimeout(() => setShown(true), 200);
    return () => window.clearTimeout(timer);
  }, []);
  return (
    <div aria-busy="true" style={{ visibility: shown ? 'visible' : 'hidden' }}>
      <span className="sr" role="status">
        Loading
      </span>
      {Array.from({ length: rows }, (_, i) => (
        <div className="line" key={i}>
          <div className="grow" style={{ display: 'grid', gap: 8, padding: '3px 0' }}>
            <div className="bone" style={{ width: `${58 - ((i * 13) % 30)}%` }} />
            <div className="bone" style={{ width: `${36 - ((i * 7) % 16)}%`, height: 10 }} />
          </div>
        </div>
      ))}
    </div>
  );
}

/** The one way to show a query: its data when there is any, dimmed while old; else why not. */
export function Shown<T>(props: {
  query: UseQueryResult<T>;
  /** The permission without which the query is not sent (see `useMay`): the reason is shown instead. */
  needs?: string;
  what?: string;
  rows?: number;
  empty?: { when: (data: T) => boolean; show: ReactNode };
  children: (data: T) => ReactNode;
}) {
  const { query, empty } = props;
  const missing = useRefusal(props.needs ?? '');
  if (props.needs && missing !== null) return <NoPermission why={missing} />;
  if (query.data !== undefined) {
    if (empty?.when(query.data)) return <>{empty.show}</>;
    return (
      <>
        {query.isError && <Failure error={query.error} what={props.what} retry={() => void query.refetch()} />}
        <div className={query.isPlaceholderData ? 'stale' : undefined}>{props.children(query.data)}</div>
      </>
    );
  }
  if (query.isError) return <Failure error={query.error} what={props.what} retry={() => void query.refetch()} />;
  return <Skeleton rows={props.rows} />;
}
