/** Agents, join tokens and commands. */
import { queryOptions } from '@tanstack/react-query';
import { api, body } from './client';
import type { Labels, Page } from './types';

export interface Agent {
  id: string;
  name: string;
  item_id: string | null;
  state: 'connected' | 'disconnected' | 'lost' | 'revoked';
  version: string;
  joined_at: string;
  seen_at: string | null;
  certificate_not_after: string | null;
}

export interface JoinToken {
  id: string;
  created_at: string;
  expires_at: string;
  uses_left: number;
  tags: Labels;
}

export interface NewJoinToken {
  token: string;
  command: string;
  expires_at: string;
}

export const agentsQuery = queryOptions({
  queryKey: ['agents'],
  queryFn: () => body<Page<Agent>>(api.GET('/api/v1/agents')),
});

export const joinTokensQuery = queryOptions({
  queryKey: ['join-tokens'],
  queryFn: () => body<Page<JoinToken>>(api.GET('/api/v1/join-tokens')),
});

export const createJoinToken = (input: { ttl_s: number; uses: number; tags: Labels; team?: string | null }) =>
  body<NewJoinToken>(api.POST('/api/v1/join-tokens', { body: input }));
export const revokeJoinToken = (id: string) =>
  body<void>(api.DELETE('/api/v1/join-tokens/{id}', { params: { path: { id } } }));
export const revokeAgent = (id: string) => body<void>(api.DELETE('/api/v1/agents/{id}', { params: { path: { id } } }));
