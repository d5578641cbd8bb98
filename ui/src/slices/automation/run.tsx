/** One run: steps by targets, live output, and the verbs while it goes. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { cancelRun, isOver, isWaiting, type Run, runQuery } from '@/api/automation';
import { eventsQuery } from '@/api/events';
import { Guarded } from '@/parts/action';
import { Moment, Since } from '@/parts/ago';
import { Card, Chips, Headline } from '@/parts/card';
import { plural } from '@/parts/number';
import { RunAnswer } from '@/parts/runAnswer';
import { RunLive, runWord } from '@/parts/runLive';
import { Empty, Failure, Shown, Skeleton } from '@/parts/states';
import { ofRun, StatusBadge } from '@/parts/status';
import { Timeline } from '@/parts/timeline';
import { complain, say } from '@/parts/toast';
import { Matrix } from './matrix';

export function RunPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const run = useQuery(runQuery(id));
  if (run.data) return <Loaded run={run.data} />;
  return (
    <>
      <Headline
        tab="Run"
        crumbs={[{ text: 'Runs', href: '/runs' }]}
        title={run.isError ? 'Run cannot be shown' : 'Loading run…'}
      />
      <div className="card below">
        {run.isError ? <Failure error={run.error} retry={() => void run.refetch()} /> : <Skeleton rows={5} />}
      </div>
    </>
  );
}

/** What has come of it, in one sentence. */
export function outcome(run: Run): string {
  const what = `${run.is_dry ? 'Dry run of ' : ''}${run.runbook} on ${run.targets.length === 1 ? run.targets[0]?.name : plural(run.targets.length, 'target')}`;
  const failed = new Set(run.tasks.filter((t) => t.state === 'failed').map((t) => t.target)).size;
  switch (run.state) {
    case 'succeeded':
      return `${what} succeeded`;
    case 'failed':
      return failed > 0 ? `${what} failed on ${plural(failed, 'target')}` : `${what} failed`;
    case 'running':
      return `${what}: step ${Math.min(run.step + 1, run.steps.length)} of ${run.steps.length}`;
    default:
      return `${what}: ${runWord(run.state)}`;
  }
}

function Loaded({ run }: { run: Run }) {
  const queries = useQueryClient();
  const events = useQuery(eventsQuery({ subject: run.id, limit: 50 }));
  const act = async (what: Promise<unknown>, done: string) => {
    try {
      await what;
      say(done);
    } catch (error) {
      complain(error);
    }
    void queries.invalidateQueries({ queryKey: ['runs'] });
  };
  return (
    <>
      <Headline
        tab={run.runbook}
        crumbs={[
          { text: 'Runs', href: '/runs' },
          { text: run.runbook, href: `/runbooks/${run.runbook_id}` },
        ]}
        title={outcome(run)}
        facts={
          <>
            <StatusBadge status={ofRun(run.state)} pill>
              {runWord(run.state)}
            </StatusBadge>
            {run.is_dry && <span className="chip">dry run: no changes are made</span>}
            {run.started_at && (
              <span>
                <b>
                  <Since at={run.started_at} until={run.finished_at} />
                </b>
              </span>
            )}
            <span>
              started by {run.source === 'person' ? run.requested_by : run.source === 'alert' ? 'an alert' : run.source}
              , <Moment at={run.requested_at} />
            </span>
            {run.incident_id && (
              <Link to="/incidents/$id" params={{ id: run.incident_id }} className="link">
                for an incident
              </Link>
            )}
            {run.change_id && (
              <Link to="/changes" search={{ open: run.change_id } as never} className="link">
                under a change
              </Link>
            )}
          </>
        }
        actions={
          <>
            {run.state === 'awaiting_person' && <RunAnswer run={run} />}
            {!isOver(run.state) && run.state !== 'awaiting_person' && (
              <Guarded
                permission="runs.start"
                onClick={() => void act(cancelRun(run.id), 'Cancelling: running commands are stopped')}
                refusal={run.state === 'cancelling' ? 'The run is being cancelled.' : null}
              >
                Cancel
              </Guarded>
            )}
          </>
        }
      />
      {isWaiting(run.state) && run.note && (
        <div className="card below">
          <div className="line">
            <StatusBadge status="warning">{run.note}</StatusBadge>
          </div>
        </div>
      )}
      <div className="cols side">
        <div className="stack">
          {run.targets.length > 1 && <Matrix run={run} />}
          <RunLive id={run.id} full />
        </div>
        <div className="stack">
          <Card title="Inputs" flush={Object.keys(run.inputs).length === 0}>
            {Object.keys(run.inputs).length === 0 ? (
              <Empty title="No inputs" />
            ) : (
              <Chips values={Object.entries(run.inputs).map(([k, v]) => `${k}=${v}`)} />
            )}
          </Card>
          <Card title="Timeline" flush={events.data?.items.length === 0}>
            <Shown
              query={events}
              what="The timeline"
              empty={{ when: (p) => p.items.length === 0, show: <Empty title="No events yet" /> }}
            >
              {(page) => <Timeline events={[...page.items].reverse()} />}
            </Shown>
          </Card>
        </div>
      </div>
    </>
  );
}
