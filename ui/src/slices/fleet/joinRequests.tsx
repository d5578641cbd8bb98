/** Machines that show the identity of a known host and wait for an approval; nothing when there are none. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { approveJoin, denyJoin, type JoinRequest, joinRequestsQuery } from '@/api/joins';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { ConfirmDialog } from '@/parts/dialog';
import { plural } from '@/parts/number';
import { complain, say } from '@/parts/toast';

const WHY: Record<JoinRequest['reason'], string> = {
  live: 'the agent of the host is connected',
  foreign: 'the join token does not cover the team and tags of the host',
};

export function JoinRequests() {
  const requests = useQuery(joinRequestsQuery);
  const queries = useQueryClient();
  const [approving, approve] = useState<JoinRequest | null>(null);
  const again = () => queries.invalidateQueries({ queryKey: ['join-requests'] });
  const list = requests.data?.items ?? [];
  if (list.length === 0) return null;
  return (
    <div className="below">
      <Card title="Joins awaiting approval" flush aside={plural(list.length, 'join')}>
        {list.map((request) => (
          <div className="line" key={request.id}>
            <div>
              <b className="break">
                {request.hostname} at {request.address} would take over {request.name}
              </b>
              <div className="muted">
                Awaiting approval because {WHY[request.reason]} · {plural(request.attempts, 'attempt')} · last{' '}
                <Ago at={request.seen_at} />
              </div>
            </div>
            <div className="row">
              <Guarded
                permission="agents.write"
                onClick={() => void denyJoin(request.id).then(again, complain)}
                label={`Deny the join of ${request.hostname}`}
              >
                Deny
              </Guarded>
              <Guarded
                permission="agents.write"
                onClick={() => approve(request)}
                label={`Approve the join of ${request.hostname}`}
              >
                Approve…
              </Guarded>
            </div>
          </div>
        ))}
      </Card>
      {approving && (
        <ConfirmDialog
          title="Approve this join"
          open
          close={() => approve(null)}
          verb={`Approve for ${approving.name}`}
          name={approving.name}
          submit={async () => {
            await approveJoin(approving.id);
            void again();
            say('Approved; the join has to be repeated with the same token within a day');
          }}
        >
          The machine {approving.hostname} at {approving.address} becomes the host {approving.name} and gets its
          commands. The agent that is on {approving.name} now is replaced.
        </ConfirmDialog>
      )}
    </div>
  );
}
