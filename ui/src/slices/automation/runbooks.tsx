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
    'by hand',
    ...book.alerts.map(
      (a) => `${a.mode === 'run' ? 'by itself on' : a.mode === 'ask' ? 'asks on' : 'dry run on'} ${a.alert}`,
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
      head: 'Starts',
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
          <StatusBadge status="critical">Faulty</StatusBadge>
        ) : b.is_enabled ? (
          <StatusBadge status="ok">Ready</StatusBadge>
        ) : (
          <StatusBadge status="maintenance">Off</StatusBadge>
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
              ? 'No runbook yet'
              : faulty > 0
                ? `${plural(faulty, 'runbook')} cannot be read`
                : `${plural(books.data.length, 'runbook')} ready`
        }
        lede="A runbook says how something is done; a run does it under a permit, after a dry run."
        actions={
          <>
            <Action onClick={() => router.history.push('/runs')}>Runs</Action>
            <Guarded permission="runbooks.write" tone="primary" onClick={() => router.history.push('/runbooks/new')}>
              Write a runbook
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
                  <Empty title="No runbook yet">Begin with one of these; read it, change it, save it.</Empty>
                  {STARTERS.map((starter) => (
                    <div className="line" key={starter.id}>
                      <div>
                        <b>{starter.name}</b>
                        <div className="muted">{starter.does}</div>
                      </div>
                      <Guarded
                        permission="runbooks.write"
                        label={`Begin with ${starter.name}`}
                        onClick={() => router.history.push(`/runbooks/new?from=${starter.id}`)}
                      >
                        Begin with it
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
