/** What may be said of an alert that is pending: its condition is true, but not yet for as long as its rule asks. */
import type { Alert } from '@/api/alerting';
import { clock, span } from '@/parts/time';

/** The summary speaks of an alert that fires ("busy for ten minutes"); until it does, only the name is true. */
export const titleOf = (alert: Alert): string =>
  alert.state === 'pending' ? alert.name : (alert.annotations.summary ?? alert.name);

export function pendingWords(alert: Alert, now = Date.now()): string {
  const since = `condition true for ${span((now - Date.parse(alert.active_since)) / 1000)}`;
  return alert.due_at ? `${since}; fires at ${clock(alert.due_at)} unless it recovers` : since;
}
