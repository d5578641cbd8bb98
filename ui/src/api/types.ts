/** Shapes that several slices share. */

export type Severity = 'info' | 'warning' | 'critical';
/** The one status vocabulary of the pages. */
export type Status = 'ok' | 'warning' | 'critical' | 'unknown' | 'maintenance';
export type Labels = Record<string, string>;

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Event {
  seq: number;
  at: string;
  topic: string;
  subject: string;
  actor: string;
  actor_name: string;
  cause: number | null;
  data: Record<string, unknown>;
}

export interface SessionActor {
  id: string;
  kind: 'person' | 'service' | 'agent' | 'system';
  name: string;
  login?: string | null;
}

export interface Session {
  actor: SessionActor;
  roles: string[];
  permissions: string[];
  csrf_token?: string | null;
}
