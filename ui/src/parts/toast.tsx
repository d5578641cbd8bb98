/** Short words at the foot of the page: what was done, with undo, or what failed. */
import { useSyncExternalStore } from 'react';
import { ProblemError } from '@/api/client';
import { Shape } from './status';

interface Toast {
  id: number;
  text: string;
  bad: boolean;
  undo?: () => void;
}

let toasts: Toast[] = [];
let next = 1;
const watchers = new Set<() => void>();
function set(list: Toast[]) {
  toasts = list;
  for (const watcher of watchers) watcher();
}
const drop = (id: number) => set(toasts.filter((t) => t.id !== id));

export function say(text: string, undo?: () => void) {
  const id = next++;
  set([...toasts.slice(-3), { id, text, bad: false, undo }]);
  window.setTimeout(() => drop(id), 5000);
}

export function complain(error: unknown, what = 'That did not work') {
  const id = next++;
  const detail =
    error instanceof ProblemError
      ? error.detail || error.title
      : error instanceof Error
        ? error.message
        : String(error);
  set([...toasts.slice(-3), { id, text: `${what}: ${detail}`, bad: true }]);
  window.setTimeout(() => drop(id), 9000);
}

export function Toasts() {
  const list = useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => toasts,
  );
  return (
    <div
      aria-live="polite"
      style={{
        position: 'fixed',
        left: '50%',
        bottom: 20,
        transform: 'translateX(-50%)',
        display: 'grid',
        gap: 8,
        zIndex: 400,
        width: 'max-content',
        maxWidth: 'calc(100vw - 32px)',
      }}
    >
      {list.map((toast) => (
        <div
          key={toast.id}
          className="card row"
          style={{ padding: '8px 12px', boxShadow: 'var(--overlay)' }}
          role={toast.bad ? 'alert' : 'status'}
        >
          <span className={`st ${toast.bad ? 'critical' : 'ok'}`}>
            <Shape status={toast.bad ? 'critical' : 'ok'} />
          </span>
          <span className="grow break">{toast.text}</span>
          {toast.undo && (
            <button
              type="button"
              className="plain link"
              onClick={() => {
                toast.undo?.();
                drop(toast.id);
              }}
            >
              Undo
            </button>
          )}
          <button type="button" className="plain faint" aria-label="Dismiss" onClick={() => drop(toast.id)}>
            ✕
          </button>
        </div>
      ))}
    </div>
  );
}
