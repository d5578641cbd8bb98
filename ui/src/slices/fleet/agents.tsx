/** Agents, their certificates, and the tokens by which hosts join. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { type Agent, agentsQuery, joinTokensQuery, revokeAgent, revokeJoinToken } from '@/api/fleet';
import { useMay } from '@/api/session';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { ConfirmDialog } from '@/parts/dialog';
import { middle, plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { complain, say } from '@/parts/toast';
import { useParam } from '@/parts/url';
import { AddHost } from './addHost';
import { AgentDrawer } from './agentDrawer';
import { JoinRequests } from './joinRequests';
import { presence } from './presence';

export function Agents() {
  const agents = useQuery(agentsQuery);
  const tokens = useQuery({ ...joinTokensQuery, enabled: useMay('join_tokens.write') });
  const queries = useQueryClient();
  const [adding, setAdding] = useParam('add');
  const [open, setOpen] = useParam('agent');
  const [ending, end] = useState<Agent | null>(null);
  const valid = (tokens.data?.items ?? []).filter(
    (t) => !t.revoked_at && Date.parse(t.expires_at) > Date.now() && t.used < t.uses,
  );
  const columns: Column<Agent>[] = [
    {
      id: 'state',
      head: 'State',
      value: (a) => presence(a).word,
      cell: (a) => <StatusBadge status={presence(a).status}>{presence(a).word}</StatusBadge>,
      width: 140,
    },
    {
      id: 'name',
      head: 'Host',
      value: (a) => a.name,
      cell: (a) => (
        <>
          <b>{a.name}</b>
          {a.has_own_config && <span className="muted"> own settings</span>}
        </>
      ),
    },
    { id: 'heard', head: 'Last seen', value: (a) => a.heard_at, cell: (a) => <Ago at={a.heard_at} />, number: true },
    {
      id: 'version',
      head: 'Version',
      value: (a) => a.version,
      cell: (a) => <span className="mono">{a.version}</span>,
      roomy: true,
    },
    {
      id: 'address',
      head: 'Address',
      value: (a) => a.address,
      cell: (a) => <span className="mono muted">{a.address}</span>,
      roomy: true,
    },
    {
      id: 'certificate',
      head: 'Certificate expires',
      value: (a) => a.certificate_expires_at,
      cell: (a) => <Ago at={a.certificate_expires_at} />,
      number: true,
      wide: true,
    },
    {
      id: 'end',
      head: '',
      value: () => '',
      cell: (a) =>
        a.state === 'active' && (
          <Guarded
            permission="agents.write"
            tone="quiet"
            onClick={() => end(a)}
            label={`Revoke the agent of ${a.name}`}
          >
            Revoke…
          </Guarded>
        ),
      width: 100,
    },
  ];
  return (
    <>
      <JoinRequests />
      <div className="below">
        <Card
          title="Agents"
          flush
          aside={
            <Guarded permission="join_tokens.write" onClick={() => setAdding('yes')}>
              Add host
            </Guarded>
          }
        >
          <Shown
            query={agents}
            what="Agents"
            empty={{ when: (p) => p.items.length === 0, show: <Empty title="No agents yet" /> }}
          >
            {(page) => (
              <DataTable
                rows={page.items}
                columns={columns}
                id={(a) => a.id}
                label="Agents"
                csv="agents"
                sort="name"
                aside={plural(page.items.length, 'agent')}
                open={(a) => setOpen(a.id)}
              />
            )}
          </Shown>
        </Card>
      </div>
      <div className="below">
        <Card title="Join tokens" flush aside={valid.length > 0 ? `${valid.length} valid` : undefined}>
          <Shown
            query={tokens}
            needs="join_tokens.write"
            what="Join tokens"
            empty={{
              when: () => valid.length === 0,
              show: <Empty title="No valid join tokens">Add host creates one.</Empty>,
            }}
          >
            {() => (
              <>
                {valid.map((token) => (
                  <div className="line" key={token.id}>
                    <div>
                      <b title={token.id}>{token.note || `Join token ${middle(token.id, 16)}`}</b>
                      <div className="muted">
                        used {token.used} of {token.uses} times · expires <Ago at={token.expires_at} />
                      </div>
                    </div>
                    <Guarded
                      permission="join_tokens.write"
                      onClick={() =>
                        void revokeJoinToken(token.id).then(
                          () => queries.invalidateQueries({ queryKey: ['join-tokens'] }),
                          complain,
                        )
                      }
                    >
                      Revoke
                    </Guarded>
                  </div>
                ))}
              </>
            )}
          </Shown>
        </Card>
      </div>
      <AgentDrawer agent={agents.data?.items.find((a) => a.id === open) ?? null} close={() => setOpen('')} />
      <AddHost open={adding !== ''} close={() => setAdding('')} />
      {ending && (
        <ConfirmDialog
          title="Revoke agent"
          open
          close={() => end(null)}
          verb={`Revoke ${ending.name}`}
          name={ending.name}
          submit={async () => {
            await revokeAgent(ending.id);
            void queries.invalidateQueries({ queryKey: ['agents'] });
            say('Revoked; its certificate is rejected');
          }}
        >
          The connection of {ending.name} ends immediately and its certificate is rejected. To monitor the host again,
          it must join again.
        </ConfirmDialog>
      )}
    </>
  );
}
