/** Open incidents that may be the same, each with its reason: a person confirms or dismisses. */
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { Candidate, IncidentDetail } from '@/api/incidents';
import { confirmCandidate, dismissCandidate } from '@/api/relatedIncidents';
import { Guarded } from '@/parts/action';
import { Card } from '@/parts/card';
import { complain, say } from '@/parts/toast';
import { useVerbs } from './verbs';

export function Related({ incident }: { incident: IncidentDetail }) {
  if (incident.candidates.length === 0) return null;
  return (
    <Card title="Possibly the same incident" flush>
      {incident.candidates.map((candidate) => (
        <Line key={candidate.id} incident={incident} candidate={candidate} />
      ))}
    </Card>
  );
}

function Line({ incident, candidate }: { incident: IncidentDetail; candidate: Candidate }) {
  const { settle } = useVerbs();
  const [busy, setBusy] = useState(false);
  const decide = async (what: typeof confirmCandidate, done: string, failed: string) => {
    setBusy(true);
    try {
      await what(incident.id, candidate.id);
      say(done);
    } catch (error) {
      complain(error, failed);
    }
    setBusy(false);
    settle();
  };
  return (
    <div className="line">
      <div style={{ minWidth: 0 }}>
        <Link to="/incidents/$id" params={{ id: candidate.id }} className="under">
          <b className="break">
            #{candidate.number} {candidate.title}
          </b>
        </Link>
        <div className="muted break">{candidate.reason}</div>
      </div>
      <div className="row tight">
        <Guarded
          permission="incidents.write"
          busy={busy}
          label={`Confirm that #${candidate.number} is the same`}
          onClick={() => void decide(confirmCandidate, 'Confirmed; the newer is merged into the older', 'Not merged')}
        >
          Confirm
        </Guarded>
        <Guarded
          permission="incidents.write"
          busy={busy}
          tone="quiet"
          label={`Dismiss that #${candidate.number} is the same`}
          onClick={() => void decide(dismissCandidate, 'Dismissed; they stay apart', 'Not dismissed')}
        >
          Dismiss
        </Guarded>
      </div>
    </div>
  );
}
