/** Status as shape, colour and word. */
import type { ReactNode } from 'react';
import type { Severity, Status } from '@/api/types';

export const WORD: Record<Status, string> = {
  ok: 'OK',
  warning: 'Warning',
  critical: 'Critical',
  unknown: 'Unknown',
  maintenance: 'Maintenance',
};

export function Shape({ status }: { status: Status }) {
  return (
    <svg width="10" height="10" viewBox="0 0 10 10" fill="currentColor" aria-hidden="true">
      {status === 'ok' && <circle cx="5" cy="5" r="4" />}
      {status === 'warning' && <path d="M5 .8 9.6 9H.4z" />}
      {status === 'critical' && <path d="M5 0l5 5-5 5-5-5z" />}
      {status === 'unknown' && <circle cx="5" cy="5" r="3.4" fill="none" stroke="currentColor" strokeWidth="1.6" />}
      {status === 'maintenance' && <path d="M1 1h3v8H1zM6 1h3v8H6z" />}
    </svg>
  );
}

/** Without children the word is read to those who cannot see the shape; with them it stands beside it. */
export function StatusBadge({ status, pill, children }: { status: Status; pill?: boolean; children?: ReactNode }) {
  return (
    <span className={`st ${status}${pill ? ` pill ${status}` : ''}`}>
      <Shape status={status} />
      {children ?? <span className="sr">{WORD[status]}</span>}
    </span>
  );
}

export function ofSeverity(severity: Severity | string): Status {
  if (severity === 'critical' || severity === 'sev1' || severity === 'sev2') return 'critical';
  if (severity === 'warning' || severity === 'sev3') return 'warning';
  return 'unknown';
}

const SEV: Record<string, string> = {
  sev1: 'SEV1 critical',
  sev2: 'SEV2 major',
  sev3: 'SEV3 minor',
  sev4: 'SEV4 info',
};
export const sevWord = (sev: string) => SEV[sev] ?? sev;

/** The state of a run, step or command as a status. */
export function ofRun(state: string): Status {
  if (['succeeded', 'ok', 'exited', 'changed', 'done', 'sent'].includes(state)) return 'ok';
  if (['failed', 'timed_out', 'rejected', 'refused', 'interrupted', 'dead'].includes(state)) return 'critical';
  if (['awaiting_approval', 'awaiting_person', 'cancelling', 'cancelled', 'requested', 'unknown'].includes(state))
    return 'warning';
  if (['running', 'queued', 'granted', 'approved', 'dispatched'].includes(state)) return 'maintenance';
  return 'unknown';
}

/** The state of a service as its manager names it. */
export function ofService(state: string): Status {
  if (['active', 'running', 'listening'].includes(state)) return 'ok';
  if (state === 'failed') return 'critical';
  if (['activating', 'deactivating', 'reloading'].includes(state)) return 'warning';
  return 'unknown';
}

const RANK: Status[] = ['ok', 'maintenance', 'unknown', 'warning', 'critical'];
export function worst(statuses: Iterable<Status>): Status {
  let found: Status = 'ok';
  for (const status of statuses) if (RANK.indexOf(status) > RANK.indexOf(found)) found = status;
  return found;
}
