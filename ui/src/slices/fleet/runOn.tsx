/** Choosing a runbook for one host. */
import { Modal } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useRouter } from '@tanstack/react-router';
import { useState } from 'react';
import { type Runbook, runbooksQuery } from '@/api/automation';
import { Action } from '@/parts/action';
import { RunDialog } from '@/parts/runDialog';
import { Empty, Shown } from '@/parts/states';

export function RunOn({ host, close }: { host: string; close: () => void }) {
  const books = useQuery(runbooksQuery);
  const router = useRouter();
  const [chosen, choose] = useState<Runbook | null>(null);
  if (chosen) {
    return (
      <RunDialog
        runbook={chosen.id}
        name={chosen.name}
        targets={`kind=host name=${host}`}
        close={close}
        started={(run) => router.history.push(`/runs/${run.id}`)}
      />
    );
  }
  return (
    <Modal
      opened
      onClose={close}
      title={`Run on ${host}`}
      size={520}
      padding={0}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Shown
        query={books}
        what="Runbooks"
        empty={{
          when: (list) => list.length === 0,
          show: (
            <Empty title="No runbooks yet">
              <Link to="/runbooks/$id" params={{ id: 'new' }} className="link">
                Create one
              </Link>
            </Empty>
          ),
        }}
      >
        {(list) => (
          <>
            {list.map((book) => (
              <div className="line" key={book.id}>
                <div>
                  <b>{book.name}</b>
                  <div className="muted">{book.description}</div>
                </div>
                <Action onClick={() => choose(book)}>Dry run…</Action>
              </div>
            ))}
          </>
        )}
      </Shown>
    </Modal>
  );
}
