/** How a message stands, as a status and a word. */
import type { Message } from '@/api/notify';
import type { Status } from '@/api/types';

export function messageStatus(message: Message): { status: Status; word: string } {
  if (message.state === 'sent') return { status: 'ok', word: 'sent' };
  if (message.state === 'dead') return { status: 'critical', word: 'given up' };
  return message.attempts > 0
    ? { status: 'warning', word: `waits, ${message.attempts} tries` }
    : { status: 'unknown', word: 'waits' };
}
