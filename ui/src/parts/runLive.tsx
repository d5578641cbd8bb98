/** A run in place: its steps by target, with the output as it comes. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { isOver, type Run, runQuery } from '@/api/automation';
import { useRunStream } from '@/api/runStream';
import { Since } from './ago';
import { Card } from './card';
import { Shown } from './states';
import { ofRun, StatusBadge } from './status';

export function RunLive({ id, full }: { id: string; full?: boolean }) {
  const run = useQuery(runQuery(id));
  const output = useRunStream(id, run.data !== undefined && !isOver(run.data.state));
  return (
    <Shown query={run} what="The run" rows={3}>
      {(it) => (
        <Card
          flush
          title={
            full ? (
              'Steps'
            ) : (
              <Link to="/runs/$id" params={{ id }} className="under">
                {it.runbook_name}
              </Link>
            )
          }
          aside={
            <span className="row">
              {it.started_at && <Since at={it.started_at} until={it.finished_at} />}
              <StatusBadge status={ofRun(it.state)}>{it.state}</StatusBadge>
            </span>
          }
        >
          <Steps run={it} output={output} full={full} />
          {it.error && <div className="problem">{it.error}</div>}
        </Card>
      )}
    </Shown>
  );
}

function Steps({ run, output, full }: { run: Run; output: Map<string, string>; full?: boolean }) {
  return (
    <ol style={{ listStyle: 'none' }}>
      {run.steps.map((step) => (
        <li key={step.index} style={{ borderBottom: '1px solid var(--line)', padding: '8px 14px' }}>
          <div className="row between">
            <b>
              <span className="faint num">{step.index + 1}</span> {step.name}
            </b>
            <span className="faint">{step.action}</span>
          </div>
          {step.targets.map((cell) => {
            const text = output.get(`${step.index}/${cell.item_id ?? ''}`) ?? cell.output;
            return (
              <div key={cell.item_id ?? cell.name} style={{ marginTop: 4 }}>
                <div className="row between">
                  <span className="muted cut">{cell.name || 'server'}</span>
                  <span className="row">
                    {cell.started_at && (
                      <span className="faint small">
                        <Since at={cell.started_at} until={cell.finished_at} />
                      </span>
                    )}
                    <StatusBadge status={ofRun(cell.state)}>
                      {cell.state}
                      {cell.exit_code ? ` (${cell.exit_code})` : ''}
                    </StatusBadge>
                  </span>
                </div>
                {text && (
                  <pre className="code" style={{ marginTop: 4, maxHeight: full ? 360 : 160 }}>
                    {text}
                  </pre>
                )}
              </div>
            );
          })}
        </li>
      ))}
    </ol>
  );
}
