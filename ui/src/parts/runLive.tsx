/** A run in place: its steps by target, with the output as it comes. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { isOver, type Run, type RunTask, runQuery } from '@/api/automation';
import { useCommandOutput, useRunStream } from '@/api/runStream';
import { Since } from './ago';
import { Card } from './card';
import { RunAnswer } from './runAnswer';
import { Shown } from './states';
import { ofRun, StatusBadge } from './status';

const RUN_WORDS: Record<string, string> = {
  awaiting_person: 'awaiting approval',
  awaiting_approval: 'awaiting approval',
  cancelling: 'cancelling',
};
export const runWord = (state: string) => RUN_WORDS[state] ?? state.replaceAll('_', ' ');

export function RunLive({ id, full }: { id: string; full?: boolean }) {
  const run = useQuery(runQuery(id));
  useRunStream(id, run.data !== undefined && !isOver(run.data.state));
  const shown = (
    <Shown query={run} what="The run" rows={3}>
      {(it) => (
        <Card
          flush
          title={
            full ? (
              'Steps'
            ) : (
              <Link to="/runs/$id" params={{ id }} className="under">
                {it.runbook}
                {it.is_dry && <span className="muted"> (dry run)</span>}
              </Link>
            )
          }
          aside={
            <span className="row">
              {it.started_at && <Since at={it.started_at} until={it.finished_at} />}
              <StatusBadge status={ofRun(it.state)}>{runWord(it.state)}</StatusBadge>
            </span>
          }
        >
          <Steps run={it} full={full} />
          {it.note && <div className="line muted">{it.note}</div>}
          {!full && it.state === 'awaiting_person' && (
            <div className="line" style={{ flexWrap: 'wrap', alignItems: 'center' }}>
              <span className="muted break">
                {Object.entries(it.inputs)
                  .map(([k, v]) => `${k} ${v}`)
                  .join(', ')}
              </span>
              <span className="row">
                <RunAnswer run={it} />
              </span>
            </div>
          )}
        </Card>
      )}
    </Shown>
  );
  return run.data ? shown : <div className="card">{shown}</div>;
}

function Steps({ run, full }: { run: Run; full?: boolean }) {
  return (
    <ol style={{ listStyle: 'none' }}>
      {run.steps.map((step, index) => {
        const tasks = run.tasks.filter((t) => t.step === index);
        const shown = full ? tasks : tasks.slice(0, 6);
        return (
          <li key={`${step.name}-${index}`} style={{ borderBottom: '1px solid var(--line)', padding: '8px 14px' }}>
            <div className="row between">
              <b className={tasks.length === 0 ? 'faint' : undefined}>
                <span className="faint num">{index + 1}</span> {step.name}
              </b>
              <span className="faint">{step.kind}</span>
            </div>
            {shown.map((task) => (
              <Task key={`${task.item_id}-${task.attempt}`} task={task} full={full} alone={tasks.length === 1} />
            ))}
            {tasks.length > shown.length && <div className="muted">and {tasks.length - shown.length} more targets</div>}
          </li>
        );
      })}
    </ol>
  );
}

function Task({ task, full, alone }: { task: RunTask; full?: boolean; alone: boolean }) {
  const goes = task.state === 'running' || task.state === 'dispatched';
  const [open, setOpen] = useState<boolean | null>(null);
  const wanted = open ?? (goes || task.state === 'failed' || (alone && task.command_id !== null));
  const output = useCommandOutput(task.command_id, wanted);
  return (
    <div style={{ marginTop: 4 }}>
      <div className="row between">
        <span className="muted cut">
          {task.target || 'once'}
          {task.attempt > 1 && ` · attempt ${task.attempt}`}
        </span>
        <span className="row nowrap">
          {task.started_at && (
            <span className="faint small">
              <Since at={task.started_at} until={task.finished_at} />
            </span>
          )}
          <StatusBadge status={ofRun(task.state)}>
            {task.state}
            {task.exit_code ? ` (${task.exit_code})` : ''}
          </StatusBadge>
          {task.command_id && (
            <button
              type="button"
              className="plain link small"
              style={{ minHeight: 24 }}
              aria-expanded={wanted}
              onClick={() => setOpen(!wanted)}
            >
              {wanted ? 'Hide' : 'Output'}
            </button>
          )}
        </span>
      </div>
      {task.note && <div className="muted small break">{task.note}</div>}
      {wanted && (output.text !== '' || output.isOver) && (
        <pre className="code" style={{ marginTop: 4, maxHeight: full ? 360 : 160 }}>
          {output.text || 'no output'}
        </pre>
      )}
    </div>
  );
}
