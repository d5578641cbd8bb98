/** Channels and the messages sent through them. */
import { queryOptions } from '@tanstack/react-query';
import { api, body } from './client';
import type { Page } from './types';

export type ChannelConfig =
  | {
      type: 'email';
      host: string;
      port: number;
      security: 'none' | 'starttls' | 'tls';
      username?: string | null;
      ehlo_name?: string | null;
      from: string;
      to: string[];
    }
  | { type: 'webhook'; url: string; headers?: Record<string, string> }
  | { type: 'slack' }
  | { type: 'matrix'; homeserver: string; room: string };

export type ChannelSecrets = Partial<
  Record<'password' | 'signing_key' | 'authorization' | 'url' | 'access_token', string>
>;

export type PageKind =
  | 'incident_opened'
  | 'incident_updated'
  | 'incident_resolved'
  | 'run_finished'
  | 'run_waiting'
  | 'test'
  | 'custom';

export interface Subscription {
  min_severity: 'info' | 'warning' | 'critical';
  kinds: PageKind[];
  teams: string[];
}

export interface Channel {
  id: string;
  name: string;
  config: ChannelConfig;
  secrets_set: string[];
  is_enabled: boolean;
  subscription: Subscription;
  /** Empty: the default of its type. */
  title_template: string;
  text_template: string;
  created_at: string;
  sent_at: string | null;
  failed_at: string | null;
  error: string | null;
}

export interface NewChannel {
  name: string;
  config: ChannelConfig;
  secrets: ChannelSecrets;
  is_enabled: boolean;
  subscription: Subscription;
  title_template?: string;
  text_template?: string;
}

export interface Message {
  id: string;
  channel: string;
  target: string;
  state: 'waiting' | 'sent' | 'unconfirmed' | 'bundled' | 'dead';
  kind: string;
  severity: string;
  title: string;
  text: string;
  url_path: string | null;
  attempts: number;
  outcome: string;
  /** Id of the message that it was sent with. */
  bundle: string | null;
  error: string | null;
  created_at: string;
  next_attempt_at: string | null;
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
export const createChannel = (channel: NewChannel) => body<Channel>(api.POST('/api/v1/channels', { body: channel }));
export const deleteChannel = (id: string) => body<void>(api.DELETE('/api/v1/channels/{id}', at(id)));
export const switchChannel = (id: string, is_enabled: boolean) =>
  body<Channel>(api.PATCH('/api/v1/channels/{id}', { ...at(id), body: { is_enabled } }));
export const testChannel = (id: string) =>
  body<{ is_delivered: boolean; errors: string[] }>(api.POST('/api/v1/channels/{id}/test', at(id)));
export const retryMessage = (id: string) => body<unknown>(api.POST('/api/v1/messages/{id}/retry', at(id)));

export interface ChannelChange {
  name?: string;
  config?: ChannelConfig;
  secrets?: ChannelSecrets;
  subscription?: Subscription;
  title_template?: string;
  text_template?: string;
}
export const changeChannel = (id: string, change: ChannelChange) =>
  body<Channel>(api.PATCH('/api/v1/channels/{id}', { ...at(id), body: change }));
