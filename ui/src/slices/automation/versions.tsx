/** What a runbook was before: its versions, each readable, compared with what current, and taken back into the editor. */
import { Modal, SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type Runbook, runbookVersionQuery, runbookVersionsQuery } from '@/api/automation';
import { Action } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { diff, excerpt } from '@/parts/diff';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { useParam } from '@/parts/url';

export function Versions({ book, take }: { book: Runbook; take: (text: string) => void }) {
  const versions = useQuery(runbookVersionsQuery(book.id));
  const [open, setOpen] = useParam('version');
  return (
    <Card title="Versions" aside={versions.data ? plural(versions.data.length, 'version') : undefined} flush>
      <Shown
        query={versions}
        what="Versions"
        empty={{ when: (v) => v.length === 0, show: <Empty title="No versions yet" /> }}
      >
        {(list) => (
          <>
            {list.slice(0, 20).map((v) => (
              <button
                type="button"
                key={v.version}
                className="plain line"
                style={{ width: '100%' }}
                onClick={() => setOpen(String(v.version))}
              >
                <span>
                  <b>Version {v.version}</b>
                  {v.version === book.version && <span className="muted"> current</span>}
                </span>
                <span className="muted">
                  {v.updated_by} · <Ago at={v.updated_at} />
                </span>
              </button>
            ))}
          </>
        )}
      </Shown>
      <Modal
        opened={open !== ''}
        onClose={() => setOpen('')}
        size={860}
        title={`${book.name}, version ${open}`}
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        {open !== '' && (
          <Version
            book={book}
            version={Number(open)}
            take={(text) => {
              take(text);
              setOpen('');
            }}
          />
        )}
      </Modal>
    </Card>
  );
}

function Version({ book, version, take }: { book: Runbook; version: number; take: (text: string) => void }) {
  const held = useQuery(runbookVersionQuery(book.id, version));
  const isNow = version === book.version;
  const [as, setAs] = useParam('as', isNow ? 'text' : 'changes');
  return (
    <Shown query={held} what="The version" rows={6}>
      {({ text }) => (
        <div style={{ display: 'grid', gap: 12 }}>
          <div className="row between wrap">
            <SegmentedControl
              size="xs"
              aria-label="Show as"
              value={as}
              onChange={setAs}
              data={[
                { value: 'changes', label: 'Diff to current' },
                { value: 'text', label: 'Text' },
              ]}
            />
            {!isNow && <Action onClick={() => take(text)}>Load into editor</Action>}
          </div>
          {as === 'text' ? <pre className="code">{text}</pre> : <Changes before={text} after={book.text} />}
        </div>
      )}
    </Shown>
  );
}

const SIGN = { same: ' ', out: '−', in: '+' };

function Changes({ before, after }: { before: string; after: string }) {
  const lines = useMemo(() => excerpt(diff(before, after)), [before, after]);
  if (before === after) return <Empty title="Same as the current version" />;
  return (
    <section className="diff" aria-label="Changes from this version to the current one">
      {lines.map((line, i) => (
        <div key={i} className={line?.kind ?? 'gap'}>
          {line ? (
            <>
              <span aria-hidden="true">{SIGN[line.kind]}</span>
              {line.kind !== 'same' && <span className="sr">{line.kind === 'in' ? 'added: ' : 'removed: '}</span>}
              {line.text}
            </>
          ) : (
            '…'
          )}
        </div>
      ))}
    </section>
  );
}
