/** Runbooks: how things are mended, and what starts each. */
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { useState } from 'react';
import { type Runbook, runbooksQuery } from '@/api/automation';
import { Action, Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card, Headline } from '@/parts/card';
import { cronWords } from '@/parts/cron';
import { plural } from '@/parts/number';
import { RunDialog } from '@/parts/runDialog';
import { Empty, Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { STARTERS } from './starters';

export function starts(book: Runbook): string {
  return [
    'manual',
    ...book.alerts.map(
      (a) => `${a.mode === 'run' ? 'automatic on' : a.mode === 'ask' ? 'with approval on' : 'dry run on'} ${a.alert}`,
    ),
    ...book.schedules.map((s) => cronWords(s.cron)),
  ].join(', ');
}

export function Runbooks() {
  const books = useQuery(runbooksQuery);
  const router = useRouter();
  const [chosen, choose] = useState<Runbook | null>(null);
  const faulty = books.data?.filter((b) => b.errors.length > 0).length ?? 0;
  const columns: Column<Runbook>[] = [
    {
      id: 'name',
      head: 'Runbook',
      value: (b) => b.name,
      cell: (b) => (
        <>
          <b className="break">{b.name}</b>
          <div className="muted break">{b.description}</div>
        </>
      ),
    },
    {
      id: 'steps',
      head: 'Steps',
      value: (b) => b.steps.length,
      cell: (b) => <span className="muted">{b.steps.map((s) => s.name).join(' → ') || '–'}</span>,
      roomy: true,
    },
    {
      id: 'starts',
      head: 'Trigger',
      value: starts,
      cell: (b) => <span className="muted break">{starts(b)}</span>,
      wide: true,
    },
    {
      id: 'state',
      head: 'State',
      value: (b) => (b.errors.length > 0 ? 'faulty' : b.is_enabled ? 'ready' : 'off'),
      cell: (b) =>
        b.errors.length > 0 ? (
          <StatusBadge status="critical">Invalid</StatusBadge>
        ) : b.is_enabled ? (
          <StatusBadge status="ok">Ready</StatusBadge>
        ) : (
          <StatusBadge status="maintenance">Disabled</StatusBadge>
        ),
      width: 90,
    },
    {
      id: 'updated',
      head: 'Changed',
      value: (b) => b.updated_at,
      cell: (b) => <Ago at={b.updated_at} />,
      number: true,
      wide: true,
    },
    {
      id: 'run',
      head: '',
      value: () => '',
      cell: (b) => (
        // biome-ignore lint/a11y/noStaticElementInteractions: keeps the row from opening; the button inside is the control
        // biome-ignore lint/a11y/useKeyWithClickEvents: keeps the row from opening; the button inside is the control
        <span onClick={(event) => event.stopPropagation()}>
          <Guarded permission="runs.start" onClick={() => choose(b)} label={`Run ${b.name}`}>
            Run…
          </Guarded>
        </span>
      ),
      width: 80,
    },
  ];
  return (
    <>
      <Headline
        tab="Runbooks"
        title={
          !books.data
            ? 'Runbooks'
            : books.data.length === 0
              ? 'No runbooks yet'
              : faulty > 0
                ? `${plural(faulty, 'invalid runbook')}`
                : `${plural(books.data.length, 'runbook')} ready`
        }
        lede="A runbook defines steps on targets. A run executes it as an approved change, after a dry run."
        actions={
          <>
            <Action onClick={() => router.history.push('/runs')}>Runs</Action>
            <Guarded permission="runbooks.write" tone="primary" onClick={() => router.history.push('/runbooks/new')}>
              New runbook
            </Guarded>
          </>
        }
      />
      <div className="below">
        <Card title="Runbooks" flush>
          <Shown
            query={books}
            what="Runbooks"
            empty={{
              when: (list) => list.length === 0,
              show: (
                <>
                  <Empty title="No runbooks yet">Start from a template: review it, change it, save it.</Empty>
                  {STARTERS.map((starter) => (
                    <div className="line" key={starter.id}>
                      <div>
                        <b>{starter.name}</b>
                        <div className="muted">{starter.does}</div>
                      </div>
                      <Guarded
                        permission="runbooks.write"
                        label={`Use template ${starter.name}`}
                        onClick={() => router.history.push(`/runbooks/new?from=${starter.id}`)}
                      >
                        Use template
                      </Guarded>
                    </div>
                  ))}
                </>
              ),
            }}
          >
            {(list) => (
              <DataTable
                rows={list}
                columns={columns}
                id={(b) => b.id}
                label="Runbooks"
                sort="name"
                open={(b) => router.history.push(`/runbooks/${b.id}`)}
              />
            )}
          </Shown>
        </Card>
      </div>
      {chosen && (
        <RunDialog
          runbook={chosen.id}
          name={chosen.name}
          close={() => choose(null)}
          started={(run) => router.history.push(`/runs/${run.id}`)}
        />
      )}
    </>
  );
}
