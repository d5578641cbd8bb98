/** Runs: what goes on now, what waits for a person, what came of the rest. */
import { SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { isOver, isWaiting, type Run, type RunState, runsQuery } from '@/api/automation';
import { Ago, Since } from '@/parts/ago';
import { Card, Headline } from '@/parts/card';
import { plural } from '@/parts/number';
import { runWord } from '@/parts/runLive';
import { Empty, Shown } from '@/parts/states';
import { ofRun, StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { useParam } from '@/parts/url';

const COLUMNS: Column<Run>[] = [
  {
    id: 'state',
    head: 'State',
    value: (r) => r.state,
    cell: (r) => <StatusBadge status={ofRun(r.state)}>{runWord(r.state)}</StatusBadge>,
    width: 150,
  },
  {
    id: 'runbook',
    head: 'Runbook',
    value: (r) => r.runbook,
    cell: (r) => (
      <>
        <b>{r.runbook}</b> {r.is_dry && <span className="chip">dry run</span>}
        {r.note && <div className="muted break">{r.note}</div>}
      </>
    ),
  },
  {
    id: 'targets',
    head: 'Targets',
    value: (r) => r.targets.length,
    cell: (r) => (
      <span className="muted break">
        {r.targets.length === 0
          ? 'none'
          : r.targets.length <= 3
            ? r.targets.map((t) => t.name).join(', ')
            : plural(r.targets.length, 'target')}
      </span>
    ),
    wide: true,
  },
  {
    id: 'by',
    head: 'Started by',
    value: (r) => r.requested_by,
    cell: (r) => (
      <span className="muted">
        {r.source === 'person' ? r.requested_by : r.source === 'alert' ? 'an alert' : 'a schedule'}
      </span>
    ),
    wide: true,
  },
  {
    id: 'lasted',
    head: 'Duration',
    value: (r) =>
      r.started_at ? Date.parse(r.finished_at ?? new Date().toISOString()) - Date.parse(r.started_at) : null,
    cell: (r) => (r.started_at ? <Since at={r.started_at} until={r.finished_at} /> : <span className="faint">–</span>),
    number: true,
    wide: true,
  },
  {
    id: 'at',
    head: 'Requested',
    value: (r) => r.requested_at,
    cell: (r) => <Ago at={r.requested_at} />,
    number: true,
    width: 110,
  },
];

const STATES = ['all', 'running', 'awaiting_person', 'awaiting_approval', 'succeeded', 'failed'];

export function Runs() {
  const [state, setState] = useParam('state', 'all');
  const router = useRouter();
  const runs = useQuery(runsQuery({ state: state === 'all' ? undefined : (state as RunState), limit: 200 }));
  const latest = useQuery(runsQuery({ limit: 200 })).data?.items;
  const going = latest?.filter((r) => !isOver(r.state) && !isWaiting(r.state)).length ?? 0;
  const waiting = latest?.filter((r) => isWaiting(r.state)).length ?? 0;
  return (
    <>
      <Headline
        tab="Runs"
        title={
          !latest
            ? 'Runs'
            : waiting > 0
              ? `${plural(waiting, 'run')} awaiting approval`
              : going > 0
                ? `${plural(going, 'run')} ${going === 1 ? 'goes' : 'go'} on`
                : 'No active runs'
        }
        lede="Runs are durable: they continue after a restart of the server or an agent, and never repeat a non-idempotent step."
      />
      <div className="row below">
        <SegmentedControl
          size="xs"
          aria-label="Filter by state"
          value={state}
          onChange={setState}
          data={STATES.map((v) => ({ value: v, label: runWord(v).replace(/^./, (c) => c.toUpperCase()) }))}
        />
      </div>
      <div className="below">
        <Card title="Runs" flush>
          <Shown
            query={runs}
            what="Runs"
            empty={{
              when: (p) => p.items.length === 0,
              show: <Empty title="No runs">Start one from a runbook, a host or an incident.</Empty>,
            }}
          >
            {(page) => (
              <DataTable
                rows={page.items}
                columns={COLUMNS}
                id={(r) => r.id}
                label="Runs"
                csv="runs"
                aside={plural(page.items.length, 'run')}
                open={(r) => router.history.push(`/runs/${r.id}`)}
              />
            )}
          </Shown>
        </Card>
      </div>
    </>
  );
}
