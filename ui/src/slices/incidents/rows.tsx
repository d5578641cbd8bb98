/** Incidents as rows: what, where, the likely cause, since when and who has it. */
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import type { KeyboardEvent } from 'react';
import { began, type Incident, incidentQuery, isOver, overAt } from '@/api/incidents';
import { useSession } from '@/api/session';
import { Moment, Since } from '@/parts/ago';
import { ofSeverity, StatusBadge, sevWord } from '@/parts/status';
import { useVerbs } from './verbs';

export function hands(incident: Incident, me: string | undefined): string {
  if (isOver(incident)) return incident.state;
  const holder = incident.lead ?? incident.acknowledged_by;
  if (!holder) return incident.state === 'triggered' ? 'unacknowledged' : incident.state;
  const who = holder.id === me ? 'you' : holder.name;
  return incident.lead ? `lead: ${who}` : `acknowledged by ${who}`;
}

export function where(incident: Incident): string {
  const all = [...new Set(incident.items.map((i) => i.name))];
  const names = all.slice(0, 3);
  const more = all.length - names.length;
  return [
    names.join(', ') + (more > 0 ? ` and ${more} more` : ''),
    incident.alert_count > 1 ? `${incident.alert_count} alerts` : '',
  ]
    .filter(Boolean)
    .join(' · ');
}

/** The likeliest cause, for the few that are open. */
function Likely({ id, open }: { id: string; open: boolean }) {
  const first = useQuery({ ...incidentQuery(id), enabled: open }).data?.suspects[0];
  if (!first) return null;
  return (
    <>
      <span className="muted">Likely cause</span> <b className="break">{first.title}</b>
      <div className="faint num break">
        {first.score.toFixed(2)} · {first.evidence.slice(0, 3).join(', ')}
      </div>
    </>
  );
}

export function IncidentRows({ incidents }: { incidents: Incident[] }) {
  const router = useRouter();
  const me = useSession()?.actor.id;
  const verbs = useVerbs();
  const press = (event: KeyboardEvent<HTMLTableRowElement>, incident: Incident) => {
    const row = event.currentTarget;
    const next = {
      j: row.nextElementSibling,
      ArrowDown: row.nextElementSibling,
      k: row.previousElementSibling,
      ArrowUp: row.previousElementSibling,
    }[event.key];
    if (next instanceof HTMLElement) next.focus();
    else if (event.key === 'Enter') router.history.push(`/incidents/${incident.id}`);
    else if (event.key === 'e') void verbs.acknowledge(incident);
    else if (event.key === 'a') void verbs.take(incident);
    else return;
    event.preventDefault();
  };
  return (
    <div className="sheet">
      <table className="t incidents" aria-label="Incidents">
        <tbody>
          {incidents.map((incident) => (
            <tr
              key={incident.id}
              className="go"
              tabIndex={0}
              onClick={() => router.history.push(`/incidents/${incident.id}`)}
              onKeyDown={(event) => press(event, incident)}
            >
              <td className="severity">
                <StatusBadge status={isOver(incident) ? 'ok' : ofSeverity(incident.severity)}>
                  {isOver(incident) ? 'Resolved' : sevWord(incident.severity)}
                </StatusBadge>
              </td>
              <td>
                <span className="row tight" style={{ alignItems: 'baseline' }}>
                  <span className="shape">
                    <StatusBadge status={isOver(incident) ? 'ok' : ofSeverity(incident.severity)} />
                  </span>
                  <b className="break">{incident.title}</b>
                </span>
                <div className="muted break">{where(incident)}</div>
              </td>
              <td className="likely">
                <Likely id={incident.id} open={!isOver(incident)} />
              </td>
              <td className="n since">
                {isOver(incident) ? (
                  <>
                    <Moment at={incident.opened_at} />
                    <div className="muted">
                      resolved after <Since at={began(incident)} until={overAt(incident)} short />
                    </div>
                  </>
                ) : (
                  <>
                    <Since at={began(incident)} short />
                    <div className="muted">{hands(incident, me)}</div>
                  </>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
