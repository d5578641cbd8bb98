/** The verbs on an incident, at once on the page and with undo where that is possible. */
import { type QueryClient, useQueryClient } from '@tanstack/react-query';
import { acknowledge, assign, type Incident, type IncidentDetail } from '@/api/incidents';
import { useSession } from '@/api/session';
import type { Page } from '@/api/types';
import { complain, say } from '@/parts/toast';

function patch(queries: QueryClient, id: string, change: Partial<Incident>) {
  queries.setQueriesData<Page<Incident>>(
    { queryKey: ['incidents', 'list'] },
    (page) => page && { ...page, items: page.items.map((i) => (i.id === id ? { ...i, ...change } : i)) },
  );
  queries.setQueryData<IncidentDetail>(['incidents', 'one', id], (one) => one && { ...one, ...change });
}

export function useVerbs() {
  const queries = useQueryClient();
  const session = useSession();
  const settle = () => void queries.invalidateQueries({ queryKey: ['incidents'] });
  const me = session ? { id: session.actor.id, name: session.actor.name } : null;
  return {
    acknowledge: async (incident: Incident) => {
      if (incident.state !== 'triggered') return;
      patch(queries, incident.id, {
        state: 'acknowledged',
        acknowledged_by: me,
        acknowledged_at: new Date().toISOString(),
      });
      try {
        await acknowledge(incident.id);
        say('Acknowledged; escalation stops');
      } catch (error) {
        complain(error, 'Not acknowledged');
      }
      settle();
    },
    take: async (incident: Incident) => {
      if (!me) return;
      const before = incident.lead;
      patch(queries, incident.id, { lead: me });
      try {
        await assign(incident.id, me.id);
        say('You are the lead', before ? () => void assign(incident.id, before.id).then(settle, complain) : undefined);
      } catch (error) {
        complain(error, 'Not assigned');
      }
      settle();
    },
    settle,
  };
}
