/** What is shown when a page cannot be: never a blank screen. */
import { type ErrorComponentProps, Link, useRouter } from '@tanstack/react-router';
import { useEffect } from 'react';
import { ProblemError } from '@/api/client';
import { Failure } from '@/parts/states';

/** A server that restarts is asked again by the page itself. */
const AGAIN_MS = 3000;

export function Boundary({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const isAway = error instanceof ProblemError && (error.status === 0 || error.status === 502 || error.status === 503);
  const again = () => {
    reset();
    void router.invalidate();
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: the next failure starts it anew
  useEffect(() => {
    if (!isAway) return;
    const timer = window.setTimeout(again, AGAIN_MS);
    return () => window.clearTimeout(timer);
  }, [error]);
  return (
    <main className="main" style={{ maxWidth: 720 }}>
      <h1>{isAway ? 'Server not reachable' : 'This page cannot be shown'}</h1>
      <p className="lede">
        {isAway
          ? 'It may be restarting. The page tries again every few seconds; nothing on it is current.'
          : 'An error occurred on this page. Other pages are not affected.'}
      </p>
      <div className="card below">
        <Failure error={error} retry={again} />
      </div>
    </main>
  );
}

export function NotFound() {
  return (
    <main className="main" style={{ maxWidth: 720 }}>
      <h1>Page not found</h1>
      <p className="lede">
        The address may be mistyped or belong to a newer version.{' '}
        <Link to="/" className="link">
          Go to Now
        </Link>
        , or press <kbd>⌘K</kbd> to search.
      </p>
    </main>
  );
}
