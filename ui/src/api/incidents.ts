/** Incidents: lists, one incident with its evidence, and the verbs. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import type { Alert } from './alerting';
import { api, body } from './client';
import type { Event, Page } from './types';

export type IncidentState = 'triggered' | 'acknowledged' | 'mitigated' | 'resolved' | 'closed';
export type Sev = 'sev1' | 'sev2' | 'sev3' | 'sev4';

export interface PersonRef {
  id: string;
  name: string;
}

export interface Incident {
  id: string;
  number: number;
  title: string;
  summary: string;
  state: IncidentState;
  severity: Sev;
  team: string | null;
  lead: PersonRef | null;
  items: { id: string; name: string; kind: string }[];
  alert_count: number;
  firing_count: number;
  is_declared: boolean;
  opened_at: string;
  /** When it was last opened again: what is wrong now began then. */
  reopened_at: string | null;
  acknowledged_at: string | null;
  acknowledged_by: PersonRef | null;
  mitigated_at: string | null;
  resolved_at: string | null;
  resolved_by: PersonRef | null;
  resolution: string | null;
  merged_into: string | null;
  /** How often it was opened again. */
  reopened: number;
  version: number;
}

export const isOver = (incident: Pick<Incident, 'state'>) =>
  incident.state === 'resolved' || incident.state === 'closed';

/** When it was resolved; nothing while it is open, whatever it was resolved at before it was reopened. */
export const overAt = (incident: Pick<Incident, 'state' | 'resolved_at'>) =>
  isOver(incident) ? incident.resolved_at : null;

export interface IncidentAlert extends Alert {
  role: 'root' | 'member' | 'symptom';
  /** Why it is here, in a sentence. */
  reason: string;
}

export interface Suspect {
  /** The event that tells of it; none for what samples or log lines say. */
  seq: number | null;
  title: string;
  detail: string;
  kind: string;
  at: string;
  score: number;
  evidence: string[];
  subject: string;
}

export interface Impact {
  id: string;
  name: string;
  kind: string;
  distance: number;
  via: string;
}

export interface IncidentRunbook {
  id: string;
  name: string;
  description: string;
  attached_by: string;
}

export interface IncidentDetail extends Incident {
  alerts: IncidentAlert[];
  impact: Impact[];
  suspects: Suspect[];
  /** What failed, and is no cause of itself. */
  symptoms: Suspect[];
  suspects_from: string;
  suspects_until: string;
  /** Open incidents that may be the same; a person decides. */
  candidates: Candidate[];
  runbooks: IncidentRunbook[];
  merged: { id: string; number: number; title: string }[];
}

export interface Candidate {
  id: string;
  number: number;
  title: string;
  state: IncidentState;
  severity: Sev;
  kind: string;
  /** In a sentence. */
  reason: string;
  at: string;
}

/** The beginning of what is wrong now. */
export const began = (incident: Incident): string => incident.reopened_at ?? incident.opened_at;

/** An event of the story, told by the server. */
export interface StoryEvent extends Event {
  text: string;
  status: 'critical' | 'warning' | 'ok' | 'info';
}

export interface IncidentStats {
  open: number;
  opened: number;
  mtta_s: number | null;
  mttr_s: number | null;
}

export interface IncidentFilter {
  state?: string;
  severity?: string;
  item?: string;
  number?: number;
  limit?: number;
}

export const incidentsQuery = (filter: IncidentFilter) =>
  queryOptions({
    queryKey: ['incidents', 'list', filter],
    queryFn: () => body<Page<Incident>>(api.GET('/api/v1/incidents', { params: { query: filter } })),
    placeholderData: keepPreviousData,
  });

export const incidentQuery = (id: string) =>
  queryOptions({
    queryKey: ['incidents', 'one', id],
    queryFn: () => body<IncidentDetail>(api.GET('/api/v1/incidents/{id}', { params: { path: { id } } })),
  });

export const incidentTimelineQuery = (id: string) =>
  queryOptions({
    queryKey: ['incidents', 'timeline', id],
    queryFn: async () =>
      (
        await body<Page<StoryEvent>>(
          api.GET('/api/v1/incidents/{id}/timeline', { params: { path: { id }, query: { limit: 500 } } }),
        )
      ).items,
  });

export const incidentStatsQuery = queryOptions({
  queryKey: ['incidents', 'stats'],
  queryFn: () => body<IncidentStats>(api.GET('/api/v1/incidents/stats')),
});

const one = (id: string) => ({ params: { path: { id } } });

export const acknowledge = (id: string) =>
  body<Incident>(api.POST('/api/v1/incidents/{id}/acknowledge', { ...one(id), body: {} }));
export const assign = (id: string, person: string) =>
  body<Incident>(api.POST('/api/v1/incidents/{id}/assign', { ...one(id), body: { person } }));
export const comment = (id: string, text: string) =>
  body<unknown>(api.POST('/api/v1/incidents/{id}/comment', { ...one(id), body: { text } }));
export const setSeverity = (id: string, severity: Sev) =>
  body<Incident>(api.POST('/api/v1/incidents/{id}/severity', { ...one(id), body: { severity } }));
export const merge = (id: string, into: string) =>
  body<Incident>(api.POST('/api/v1/incidents/{id}/merge', { ...one(id), body: { into } }));
export const resolve = (id: string, note: string) =>
  body<Incident>(api.POST('/api/v1/incidents/{id}/resolve', { ...one(id), body: { note } }));
export const mitigate = (id: string, note: string) =>
  body<Incident>(api.POST('/api/v1/incidents/{id}/mitigate', { ...one(id), body: { note } }));
export const closeIncident = (id: string, note: string) =>
  body<Incident>(api.POST('/api/v1/incidents/{id}/close', { ...one(id), body: { note } }));
export const rename = (id: string, title: string) =>
  body<Incident>(api.POST('/api/v1/incidents/{id}/rename', { ...one(id), body: { title } }));
export const reopen = (id: string, reason: string) =>
  body<Incident>(api.POST('/api/v1/incidents/{id}/reopen', { ...one(id), body: { reason } }));
export const declare = (incident: { title: string; severity: Sev; items: string[]; description: string }) =>
  body<Incident>(api.POST('/api/v1/incidents', { body: incident }));
