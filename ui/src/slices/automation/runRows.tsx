/** Runs in a narrow list. */
import { Link } from '@tanstack/react-router';
import type { Run } from '@/api/automation';
import { Ago } from '@/parts/ago';
import { runWord } from '@/parts/runLive';
import { ofRun, StatusBadge } from '@/parts/status';

export function RunRows({ runs }: { runs: Run[] }) {
  return (
    <>
      {runs.map((run) => (
        <Link to="/runs/$id" params={{ id: run.id }} className="line" key={run.id}>
          <StatusBadge status={ofRun(run.state)}>
            {runWord(run.state)}
            {run.is_dry && ' (dry)'}
          </StatusBadge>
          <span className="muted">
            {run.source === 'person' ? run.requested_by : run.source === 'alert' ? 'an alert' : 'a schedule'} ·{' '}
            <Ago at={run.requested_at} />
          </span>
        </Link>
      ))}
    </>
  );
}
