/** How a message stands, as a status and a word. */
import type { Message } from '@/api/notify';
import type { Status } from '@/api/types';

export function messageStatus(message: Message): { status: Status; word: string } {
  if (message.state === 'sent') return { status: 'ok', word: 'sent' };
  if (message.state === 'bundled') return { status: 'ok', word: 'part of a bundle' };
  if (message.state === 'unconfirmed') return { status: 'warning', word: 'not confirmed by the receiver' };
  if (message.state === 'dead' && message.outcome === 'misconfigured')
    return { status: 'critical', word: 'failed: channel misconfigured' };
  if (message.state === 'dead') return { status: 'critical', word: 'failed' };
  if (message.outcome === 'unknown') return { status: 'warning', word: 'not confirmed, retried later' };
  return message.attempts > 0
    ? { status: 'warning', word: `retrying, ${message.attempts} attempts` }
    : { status: 'unknown', word: 'queued' };
}
