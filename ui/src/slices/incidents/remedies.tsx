/** Matching runbooks: a dry run first, then the run with its output in place. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { isWaiting, runsQuery } from '@/api/automation';
import type { IncidentDetail, IncidentRunbook } from '@/api/incidents';
import { Guarded } from '@/parts/action';
import { Card } from '@/parts/card';
import { RunDialog } from '@/parts/runDialog';
import { RunLive } from '@/parts/runLive';
import { Empty } from '@/parts/states';

/** What the first alert says about itself, for inputs of the same meaning. */
export function guess(incident: IncidentDetail): Record<string, string> {
  const labels = incident.alerts[0]?.labels ?? {};
  const said = { ...labels, host: labels.instance, service: labels.name, mount: labels.mountpoint };
  return Object.fromEntries(Object.entries(said).filter((pair): pair is [string, string] => Boolean(pair[1])));
}

export function Remedies({ incident, held }: { incident: IncidentDetail; held: boolean }) {
  const [chosen, choose] = useState<IncidentRunbook | null>(null);
  const own = useQuery(runsQuery({ incident_id: incident.id, limit: 5 })).data?.items ?? [];
  const latest = useQuery(runsQuery({ limit: 50 })).data?.items ?? [];
  // What an alert has asked for belongs to the incident that the alert is a part of.
  const alerts = new Set(incident.alerts.map((a) => a.id));
  const asked = latest.filter((r) => r.alert_id !== null && alerts.has(r.alert_id)).slice(0, 5);
  const all = [...asked.filter((r) => !own.some((o) => o.id === r.id)), ...own];
  // What awaits an approval comes first.
  const runs = [...all.filter((r) => isWaiting(r.state)), ...all.filter((r) => !isWaiting(r.state))];
  return (
    <>
      <section id="remedies">
        <Card title="Runbooks" flush>
          {incident.runbooks.map((runbook) => (
            <div className="line" key={runbook.id}>
              <div style={{ minWidth: 0 }}>
                <Link to="/runbooks/$id" params={{ id: runbook.id }} className="under">
                  <b>{runbook.name}</b>
                </Link>
                <div className="muted break">{runbook.description || runbook.attached_by}</div>
              </div>
              <Guarded
                permission="runs.start"
                keys="r"
                tone={held ? 'primary' : undefined}
                onClick={() => choose(runbook)}
              >
                Run…
              </Guarded>
            </div>
          ))}
          {incident.runbooks.length === 0 && (
            <Empty title="No runbook is attached to these alerts">
              Set the rule annotation <span className="mono">runbook</span>, or{' '}
              <Link to="/runbooks" className="link">
                choose one
              </Link>
              .
            </Empty>
          )}
        </Card>
      </section>
      {runs.map((run) => (
        <RunLive key={run.id} id={run.id} />
      ))}
      {chosen && (
        <RunDialog
          runbook={chosen.id}
          name={chosen.name}
          incident={incident.id}
          start={guess(incident)}
          close={() => choose(null)}
        />
      )}
    </>
  );
}
