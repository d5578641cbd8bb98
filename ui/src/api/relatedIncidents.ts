/** Incidents that may be one, and alerts that are split off. */
import { api, body } from './client';
import type { Incident } from './incidents';

type Post = (
  path: string,
  init: { params: { path: Record<string, string> }; body: object },
) => Promise<{ data?: unknown; error?: unknown; response: Response }>;
const post = api.POST as unknown as Post;

export const confirmCandidate = (id: string, other: string) =>
  body<Incident>(
    post('/api/v1/incidents/{id}/candidates/{other}/confirm', { params: { path: { id, other } }, body: {} }),
  );
export const dismissCandidate = (id: string, other: string) =>
  body<Incident>(
    post('/api/v1/incidents/{id}/candidates/{other}/dismiss', { params: { path: { id, other } }, body: {} }),
  );
export const splitAlerts = (id: string, alerts: string[], note: string) =>
  body<Incident>(post('/api/v1/incidents/{id}/split', { params: { path: { id } }, body: { alerts, note } }));
