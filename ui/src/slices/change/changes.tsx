/** Changes: pending approvals, running changes, and the record. */
import { SegmentedControl, Textarea } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { approveChange, type Change, type ChangeState, changesQuery, rejectChange } from '@/api/change';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card, Headline, Tabs } from '@/parts/card';
import { FormDialog } from '@/parts/dialog';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { ofRun, StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { say } from '@/parts/toast';
import { useParam } from '@/parts/url';
import { ChangeDrawer } from './changeDrawer';
import { Freezes } from './freezes';
import { Windows } from './windows';

const COLUMNS: Column<Change>[] = [
  {
    id: 'state',
    head: 'State',
    value: (c) => c.state,
    cell: (c) => <StatusBadge status={ofRun(c.state)}>{c.state}</StatusBadge>,
    width: 120,
  },
  {
    id: 'title',
    head: 'Change',
    value: (c) => c.title,
    cell: (c) => (
      <>
        <b className="break">{c.title}</b>
        <div className="muted break">{c.plan_summary || c.reason}</div>
      </>
    ),
  },
  {
    id: 'risk',
    head: 'Risk',
    value: (c) => ['low', 'medium', 'high'].indexOf(c.risk),
    cell: (c) => c.risk,
    wide: true,
    width: 80,
  },
  {
    id: 'targets',
    head: 'Targets',
    value: (c) => c.targets.length,
    cell: (c) => <span className="muted">{plural(c.targets.length, 'target')}</span>,
    wide: true,
    width: 100,
  },
  { id: 'by', head: 'Requested by', value: (c) => c.requested_by_name, wide: true },
  {
    id: 'at',
    head: 'Requested',
    value: (c) => c.requested_at,
    cell: (c) => <Ago at={c.requested_at} />,
    number: true,
    width: 110,
  },
];

const WAITING = changesQuery({ state: 'requested', limit: 100 });

const TABS = [
  { id: 'record', text: 'Record' },
  { id: 'times', text: 'Freezes and windows' },
];

export function Changes() {
  const [tab] = useParam('tab', 'record');
  const waiting = useQuery(WAITING);
  const count = waiting.data?.items.length;
  return (
    <>
      <Headline
        tab="Changes"
        title={
          count === undefined
            ? 'Changes'
            : count === 0
              ? 'No approvals pending'
              : `${plural(count, 'approval')} pending`
        }
        lede="Every action on a host is a change. An approval is valid for exactly the plan that was reviewed."
      />
      <Tabs tabs={TABS} current={tab} />
      {tab === 'times' ? (
        <div className="cols two">
          <Freezes />
          <Windows />
        </div>
      ) : (
        <Record />
      )}
    </>
  );
}

function Record() {
  const [view, setView] = useParam('view', 'all');
  const [open, setOpen] = useParam('open');
  const [deciding, decide] = useState<{ change: Change; approve: boolean } | null>(null);
  const waiting = useQuery(WAITING);
  const changes = useQuery(changesQuery({ state: view === 'all' ? undefined : (view as ChangeState), limit: 200 }));
  const chosen = [...(waiting.data?.items ?? []), ...(changes.data?.items ?? [])].find((c) => c.id === open) ?? null;
  return (
    <>
      {(waiting.data?.items ?? []).map((change) => (
        <div className="below" key={change.id}>
          <Card
            title={change.title}
            aside={
              <>
                asked by {change.requested_by_name} <Ago at={change.requested_at} />
              </>
            }
          >
            <div className="row between wrap">
              <div style={{ maxWidth: '72ch' }}>
                <p className="break">{change.plan_summary}</p>
                <p className="muted break">
                  {plural(change.targets.length, 'target')}:{' '}
                  {change.targets
                    .slice(0, 6)
                    .map((t) => t.name)
                    .join(', ')}{' '}
                  · risk {change.risk}
                  {change.reason && ` · ${change.reason}`}
                  {change.decision_note && ` · needs approval: ${change.decision_note}`}
                </p>
              </div>
              <div className="row">
                <Guarded permission="changes.approve" onClick={() => decide({ change, approve: false })}>
                  Reject…
                </Guarded>
                <Guarded permission="changes.approve" tone="primary" onClick={() => decide({ change, approve: true })}>
                  Approve…
                </Guarded>
              </div>
            </div>
          </Card>
        </div>
      ))}
      <div className="row below">
        <SegmentedControl
          size="xs"
          aria-label="Filter by state"
          value={view}
          onChange={setView}
          data={['all', 'granted', 'succeeded', 'failed', 'rejected', 'refused'].map((v) => ({
            value: v,
            label: v.charAt(0).toUpperCase() + v.slice(1),
          }))}
        />
      </div>
      <div className="below">
        <Card title="Record" flush>
          <Shown
            query={changes}
            what="Changes"
            empty={{
              when: (p) => p.items.length === 0,
              show: <Empty title="No changes yet">Running a runbook requests a change.</Empty>,
            }}
          >
            {(page) => (
              <DataTable
                rows={page.items}
                columns={COLUMNS}
                id={(c) => c.id}
                label="Changes"
                csv="changes"
                aside={plural(page.items.length, 'change')}
                open={(c) => setOpen(c.id)}
              />
            )}
          </Shown>
        </Card>
      </div>
      <ChangeDrawer
        change={chosen}
        close={() => setOpen('')}
        decide={(approve) => chosen && decide({ change: chosen, approve })}
      />
      {deciding && <Decide {...deciding} close={() => decide(null)} />}
    </>
  );
}

function Decide({ change, approve, close }: { change: Change; approve: boolean; close: () => void }) {
  const queries = useQueryClient();
  const [note, setNote] = useState('');
  return (
    <FormDialog
      title={`${approve ? 'Approve' : 'Reject'} "${change.title}"`}
      open
      close={close}
      verb={approve ? `Approve for ${plural(change.targets.length, 'target')}` : 'Reject'}
      tone={approve ? 'primary' : 'danger'}
      submit={async () => {
        await (approve ? approveChange : rejectChange)(change, note);
        void queries.invalidateQueries({ queryKey: ['changes'] });
        say(approve ? 'Approved' : 'Rejected');
      }}
    >
      {(fault) => (
        <>
          <p className="break">{change.plan_summary}</p>
          <p className="muted">
            The plan is <span className="mono break">{change.plan_hash.slice(0, 24)}</span>; if it changes, the approval
            is void.
          </p>
          <Textarea
            label="Note"
            autosize
            data-autofocus
            value={note}
            onChange={(e) => setNote(e.currentTarget.value)}
            error={fault('note')}
          />
        </>
      )}
    </FormDialog>
  );
}
