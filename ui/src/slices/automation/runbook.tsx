/** One runbook: its document with faults marked where they are, what it would do, and its runs. */
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useBlocker, useParams, useRouter } from '@tanstack/react-router';
import { useState } from 'react';
import {
  createRunbook,
  deleteRunbook,
  type Runbook,
  runbookQuery,
  runsQuery,
  updateRunbook,
  validateRunbook,
} from '@/api/automation';
import type { Status } from '@/api/types';
import { Action, Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card, Headline } from '@/parts/card';
import { ConfirmDialog } from '@/parts/dialog';
import { Editor, Faults } from '@/parts/editor';
import { plural } from '@/parts/number';
import { RunDialog } from '@/parts/runDialog';
import { Empty, Failure, Shown, Skeleton } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { complain, say } from '@/parts/toast';
import { useParam } from '@/parts/url';
import { starts } from './runbooks';
import { RunRows } from './runRows';
import { FIRST, starterText } from './starters';
import { Versions } from './versions';

const RISK: Record<string, Status> = { low: 'ok', medium: 'warning', high: 'critical' };

export function RunbookPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const book = useQuery({ ...runbookQuery(id), enabled: id !== 'new' });
  const [from] = useParam('from', FIRST);
  const starter = useQuery({
    queryKey: ['runbooks', 'starter', from],
    queryFn: () => starterText(from),
    enabled: id === 'new',
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (id === 'new' && starter.data !== undefined)
    return <Loaded key={`new-${from}`} book={null} start={starter.data} />;
  if (book.data) return <Loaded key={`${book.data.id}-${book.data.version}`} book={book.data} />;
  return (
    <>
      <Headline
        tab="Runbook"
        crumbs={[{ text: 'Runbooks', href: '/runbooks' }]}
        title={book.isError ? 'Runbook cannot be shown' : 'Loading runbook…'}
      />
      <div className="card below">
        {book.isError ? <Failure error={book.error} retry={() => void book.refetch()} /> : <Skeleton rows={6} />}
      </div>
    </>
  );
}

function Loaded({ book, start = '' }: { book: Runbook | null; start?: string }) {
  const queries = useQueryClient();
  const router = useRouter();
  const before = book?.text ?? start;
  const [text, setText] = useState(before);
  const [busy, setBusy] = useState(false);
  const [saved, setSaved] = useState(false);
  const [asked, ask] = useState<'delete' | null>(null);
  const [running, setRunning] = useParam('run');
  const [settled] = useDebouncedValue(text, 300);
  const check = useQuery({
    queryKey: ['runbooks', 'check', settled],
    queryFn: () => validateRunbook(settled),
    retry: false,
    staleTime: 60_000,
  });
  const faults = settled === text ? (check.data?.errors ?? []) : [];
  const dirty = text !== before && !saved;
  useBlocker({
    shouldBlockFn: () => dirty && !window.confirm('Discard unsaved changes?'),
    enableBeforeUnload: dirty,
  });
  const save = async () => {
    setBusy(true);
    try {
      const kept = book ? await updateRunbook(book.id, text, book.version, book.is_enabled) : await createRunbook(text);
      setSaved(true);
      say('Saved; the previous version is kept');
      void queries.invalidateQueries({ queryKey: ['runbooks'] });
      window.setTimeout(() => router.history.push(`/runbooks/${kept.id}`), 0);
    } catch (error) {
      complain(error, 'Not saved');
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Headline
        tab={book?.name ?? 'New runbook'}
        crumbs={[{ text: 'Runbooks', href: '/runbooks' }, { text: book?.name ?? 'new' }]}
        title={
          book ? (faults.length > 0 ? `${book.name} has ${plural(faults.length, 'fault')}` : book.name) : 'New runbook'
        }
        lede={book ? book.description : 'Typed inputs, targets, steps; errors are marked as you type.'}
        facts={
          book && (
            <>
              <StatusBadge status={book.errors.length > 0 ? 'critical' : (RISK[book.risk] ?? 'unknown')} pill>
                {book.errors.length > 0 ? 'Invalid' : `risk ${book.risk}`}
              </StatusBadge>
              <span>starts {starts(book)}</span>
              <span>
                version {book.version}, {book.updated_by} <Ago at={book.updated_at} />
              </span>
            </>
          )
        }
        actions={
          <>
            {book && (
              <Guarded permission="runbooks.write" onClick={() => ask('delete')}>
                Delete…
              </Guarded>
            )}
            {book && (
              <Guarded
                permission="runs.start"
                keys="r"
                onClick={() => setRunning('yes')}
                refusal={dirty ? 'Save first: a run uses the saved version.' : null}
              >
                Run…
              </Guarded>
            )}
            <Guarded
              permission="runbooks.write"
              tone="primary"
              busy={busy}
              onClick={() => void save()}
              refusal={faults.length > 0 ? 'Fix the errors first.' : book && !dirty ? 'No changes to save.' : null}
            >
              Save
            </Guarded>
          </>
        }
      />
      <div className="cols side">
        <div className="stack">
          <div>
            <Editor
              value={text}
              change={setText}
              label="Runbook as YAML"
              numbers
              rows={16}
              faults={faults}
              submit={() => void save()}
            />
            <Faults faults={faults} />
            {check.isError && <Failure error={check.error} what="The check" retry={() => void check.refetch()} />}
          </div>
        </div>
        <div className="stack">
          <Card
            title="Steps"
            flush
            aside={
              faults.length > 0 ? (
                <StatusBadge status="critical">{plural(faults.length, 'fault')}</StatusBadge>
              ) : check.data ? (
                <StatusBadge status="ok">Valid</StatusBadge>
              ) : undefined
            }
          >
            {(check.data?.steps ?? []).map((step, i) => (
              <div className="line" key={`${step.name}-${i}`}>
                <span>
                  <span className="faint num">{i + 1}</span> {step.name}
                </span>
                <span className="faint">{step.kind}</span>
              </div>
            ))}
            {check.data && check.data.steps.length === 0 && (
              <Empty title="No valid steps yet">Each error is marked in the text, by line and column.</Empty>
            )}
          </Card>
          {book && <Recent id={book.id} />}
          {book && <Versions book={book} take={setText} />}
        </div>
      </div>
      {running !== '' && book && (
        <RunDialog
          runbook={book.id}
          name={book.name}
          close={() => setRunning('')}
          started={(run) => router.history.push(`/runs/${run.id}`)}
        />
      )}
      {book && (
        <ConfirmDialog
          title="Delete runbook"
          open={asked === 'delete'}
          close={() => ask(null)}
          verb={`Delete ${book.name}`}
          name={book.name}
          submit={async () => {
            await deleteRunbook(book.id);
            void queries.invalidateQueries({ queryKey: ['runbooks'] });
            setSaved(true);
            window.setTimeout(() => router.history.push('/runbooks'), 0);
          }}
        >
          Its schedules and alert triggers end immediately. Past runs are kept.
        </ConfirmDialog>
      )}
    </>
  );
}

function Recent({ id }: { id: string }) {
  const runs = useQuery(runsQuery({ runbook_id: id, limit: 8 }));
  return (
    <Card
      title="Recent runs"
      flush
      aside={
        <Action onClick={() => void runs.refetch()} label="Refresh runs">
          ↻
        </Action>
      }
    >
      <Shown
        query={runs}
        what="Runs"
        empty={{ when: (p) => p.items.length === 0, show: <Empty title="No runs yet" /> }}
      >
        {(page) => <RunRows runs={page.items} />}
      </Shown>
    </Card>
  );
}
