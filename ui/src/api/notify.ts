/** Channels and the messages sent through them. */
import { queryOptions } from '@tanstack/react-query';
import { api, body } from './client';
import type { Page } from './types';

export interface Channel {
  id: string;
  name: string;
  kind: 'email' | 'webhook' | 'slack' | 'matrix';
  enabled: boolean;
  config: Record<string, unknown>;
  subscription: { kinds: string[]; min_severity: string; teams: string[] };
}

export interface Message {
  id: string;
  channel_id: string;
  channel_name: string;
  title: string;
  state: 'queued' | 'sending' | 'sent' | 'failed' | 'gave_up';
  attempts: number;
  last_error: string | null;
  created_at: string;
  sent_at: string | null;
}

const at = (id: string) => ({ params: { path: { id } } });

export const channelsQuery = queryOptions({
  queryKey: ['channels'],
  queryFn: () => body<Page<Channel>>(api.GET('/api/v1/channels')),
});
export const messagesQuery = queryOptions({
  queryKey: ['messages'],
  queryFn: () => body<Page<Message>>(api.GET('/api/v1/messages', { params: { query: { limit: 50 } } })),
});
export const createChannel = (channel: Omit<Channel, 'id'>) =>
  body<Channel>(api.POST('/api/v1/channels', { body: channel }));
export const deleteChannel = (id: string) => body<void>(api.DELETE('/api/v1/channels/{id}', at(id)));
export const testChannel = (id: string) =>
  body<unknown>(api.POST('/api/v1/channels/{id}/test', { ...at(id), body: {} }));
export const retryMessage = (id: string) =>
  body<unknown>(api.POST('/api/v1/messages/{id}/retry', { ...at(id), body: {} }));
