/** What is shown when a page cannot be: never a blank screen. */
import { type ErrorComponentProps, Link } from '@tanstack/react-router';
import { Failure } from '@/parts/states';

export function Boundary({ error, reset }: ErrorComponentProps) {
  return (
    <main className="main" style={{ maxWidth: 720 }}>
      <h1>This page could not be shown</h1>
      <p className="lede">Everything else still works; the rest of Mainstay is one step away.</p>
      <div className="card below">
        <Failure error={error} retry={reset} />
      </div>
    </main>
  );
}

export function NotFound() {
  return (
    <main className="main" style={{ maxWidth: 720 }}>
      <h1>There is no page at this address</h1>
      <p className="lede">
        It may have been mistyped, or belong to a newer version.{' '}
        <Link to="/" className="link">
          Go to Now
        </Link>
        , or press <kbd>⌘K</kbd> and search.
      </p>
    </main>
  );
}
