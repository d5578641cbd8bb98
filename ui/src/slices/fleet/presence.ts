/** The presence of an agent as a status and a word. */
import type { Agent } from '@/api/fleet';
import type { Status } from '@/api/types';

export function presence(agent: Agent): { status: Status; word: string } {
  if (agent.state !== 'active') return { status: 'unknown', word: agent.state };
  const status: Record<Agent['presence'], Status> = {
    connected: 'ok',
    disconnected: 'unknown',
    new: 'unknown',
    lost: 'critical',
  };
  return { status: status[agent.presence], word: agent.presence === 'lost' ? 'stopped reporting' : agent.presence };
}
