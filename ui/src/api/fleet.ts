/** Agents, join tokens and commands. */
import { queryOptions } from '@tanstack/react-query';
import { api, body, wholeList } from './client';
import type { Labels, Page } from './types';

export interface Agent {
  id: string;
  item_id: string;
  name: string;
  state: 'active' | 'revoked' | 'replaced';
  presence: 'new' | 'connected' | 'disconnected' | 'lost';
  presence_at: string;
  heard_at: string;
  version: string;
  address: string;
  joined_at: string;
  certificate_expires_at: string;
  has_own_config: boolean;
}

export interface JoinToken {
  id: string;
  note: string;
  team: string | null;
  tags: Labels;
  uses: number;
  used: number;
  created_by: string;
  created_at: string;
  expires_at: string;
  revoked_at: string | null;
}

export interface NewJoinToken extends JoinToken {
  token: string;
  command: string;
}

export const agentsQuery = queryOptions({
  queryKey: ['agents'],
  queryFn: () =>
    wholeList(
      (cursor) => body<Page<Agent>>(api.GET('/api/v1/agents', { params: { query: { limit: 500, cursor } } })),
      20_000,
    ),
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

/** What an agent does on its host. */
export interface AgentConfig {
  sample_interval_ms: number;
  watched_services: string[];
  journal: boolean;
  log_files: string[];
  certificate_paths: string[];
  spool_bytes: number;
}

export const agentConfigQuery = (id: string) =>
  queryOptions({
    queryKey: ['agents', 'config', id],
    queryFn: () => body<AgentConfig>(api.GET('/api/v1/agents/{id}/config', { params: { path: { id } } })),
  });
export const setAgentConfig = (id: string, config: AgentConfig) =>
  body<AgentConfig>(api.PUT('/api/v1/agents/{id}/config', { params: { path: { id } }, body: config }));
