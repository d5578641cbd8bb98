/** Approve or reject a run that awaits approval. */
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { approveRun, type Run, rejectRun } from '@/api/automation';
import { Guarded } from './action';
import { complain, say } from './toast';

export function RunAnswer({ run }: { run: Run }) {
  const queries = useQueryClient();
  const [busy, setBusy] = useState(false);
  const act = async (what: Promise<unknown>, done: string) => {
    setBusy(true);
    try {
      await what;
      say(done);
    } catch (error) {
      complain(error);
    }
    setBusy(false);
    void queries.invalidateQueries({ queryKey: ['runs'] });
  };
  return (
    <>
      <Guarded permission="runs.start" busy={busy} onClick={() => void act(rejectRun(run.id), 'Rejected')}>
        Reject
      </Guarded>
      <Guarded
        permission="runs.start"
        tone="primary"
        busy={busy}
        onClick={() => void act(approveRun(run.id), 'Approved')}
      >
        Approve and run
      </Guarded>
    </>
  );
}
