/** Adding a host: one command to copy, then a wait that is seen until the host reports. */
import { Modal, NumberInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { agentsQuery, createJoinToken, type NewJoinToken } from '@/api/fleet';
import { Action, Guarded } from '@/parts/action';
import { Command } from '@/parts/copy';
import { PublicUrlWarning } from '@/parts/publicUrl';
import { Failure } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { clock } from '@/parts/time';

export function AddHost({ open, close }: { open: boolean; close: () => void }) {
  return (
    <Modal opened={open} onClose={close} title="Add host" size={640} closeButtonProps={{ 'aria-label': 'Close' }}>
      <Steps close={close} />
    </Modal>
  );
}

function Steps({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const [made, setMade] = useState<{ token: NewJoinToken; known: Set<string> } | null>(null);
  const [uses, setUses] = useState(1);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const agents = useQuery({ ...agentsQuery, refetchInterval: made ? 2000 : false });
  const joined = made ? (agents.data?.items ?? []).filter((a) => !made.known.has(a.id)) : [];
  const make = async () => {
    setBusy(true);
    setError(null);
    try {
      const known = new Set((await queries.fetchQuery(agentsQuery)).items.map((a) => a.id));
      setMade({ token: await createJoinToken({ ttl_s: 3600, uses, tags: {} }), known });
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  };
  if (!made) {
    return (
      <div style={{ display: 'grid', gap: 12 }}>
        <p className="muted">
          The command contains a join token that expires in one hour. The host creates its own key and the server signs
          it. The agent then keeps one outbound connection; nothing listens on the host.
        </p>
        <PublicUrlWarning what="Join commands" />
        <NumberInput
          label="Max uses"
          min={1}
          max={1000}
          value={uses}
          onChange={(v) => setUses(typeof v === 'number' ? v : 1)}
          w={200}
        />
        {error !== null && <Failure error={error} />}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Guarded permission="join_tokens.write" tone="primary" busy={busy} onClick={() => void make()}>
            Create join command
          </Guarded>
        </div>
      </div>
    );
  }
  return (
    <div style={{ display: 'grid', gap: 12 }}>
      <p>Run this as root on the new host:</p>
      <PublicUrlWarning what="Join commands" />
      <Command value={made.token.command} />
      <p className="muted">
        Expires at {clock(made.token.expires_at, false)}. If the host cannot run the agent, the script says why and
        changes nothing.
      </p>
      <div className="card" aria-live="polite">
        {joined.length === 0 ? (
          <div className="line">
            <StatusBadge status="unknown">Waiting for the host to connect…</StatusBadge>
          </div>
        ) : (
          joined.map((agent) => (
            <div className="line" key={agent.id}>
              <StatusBadge status="ok">{agent.name} connected</StatusBadge>
              {agent.item_id && (
                <Link to="/hosts/$id" params={{ id: agent.item_id }} className="link">
                  Open host
                </Link>
              )}
            </div>
          ))
        )}
      </div>
      <div className="row" style={{ justifyContent: 'flex-end' }}>
        <Action onClick={close}>Done</Action>
      </div>
    </div>
  );
}
