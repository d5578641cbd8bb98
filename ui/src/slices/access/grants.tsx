/** What somebody holds: roles, each everywhere or only for a team's things or tagged items. */
import { Drawer, Select, TagsInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import {
  grant,
  type HeldGrant,
  type Holder,
  holderGrantsQuery,
  ROLES,
  type Role,
  teamsQuery,
  ungrant,
} from '@/api/access';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Empty, Shown } from '@/parts/states';
import { complain, say } from '@/parts/toast';

const EXPLAINED: Record<string, string> = {
  viewer: 'sees',
  operator: 'responds to incidents, runs runbooks',
  manager: 'approves changes, plans maintenance',
  administrator: 'full administration',
  auditor: 'read-only, including audit',
};

/** `operator (env=prod)`. */
export function grantWords(held: HeldGrant): string {
  const where = [held.scope.team && 'one team', ...Object.entries(held.scope.tags ?? {}).map(([k, v]) => `${k}=${v}`)]
    .filter(Boolean)
    .join(', ');
  return where ? `${held.role} (${where})` : held.role;
}

interface Props {
  holder: Holder;
  id: string | null;
  name: string;
  close: () => void;
  extra?: ReactNode;
}

export function GrantsDrawer({ holder, id, name, close, extra }: Props) {
  return (
    <Drawer
      opened={id !== null}
      onClose={close}
      position="right"
      size={420}
      title={name}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {id && <Inner holder={holder} id={id} extra={extra} />}
    </Drawer>
  );
}

function Inner({ holder, id, extra }: { holder: Holder; id: string; extra?: ReactNode }) {
  const queries = useQueryClient();
  const grants = useQuery(holderGrantsQuery(holder, id));
  const teams = useQuery(teamsQuery).data?.items ?? [];
  const [role, setRole] = useState<Role>('viewer');
  const [team, setTeam] = useState<string | null>(null);
  const [tags, setTags] = useState<string[]>([]);
  const again = () => {
    void queries.invalidateQueries({ queryKey: [holder] });
    void queries.invalidateQueries({ queryKey: ['people'] });
  };
  const add = async () => {
    try {
      const pairs = tags.map((t) => [t.slice(0, t.indexOf('=')), t.slice(t.indexOf('=') + 1)]);
      await grant(holder, id, { role, scope: { team, tags: Object.fromEntries(pairs) as Record<string, string> } });
      say('Role granted');
      setTags([]);
    } catch (error) {
      complain(error, 'Role not granted');
    }
    again();
  };
  const take = async (held: HeldGrant) => {
    try {
      await ungrant(held.id);
      say('Role removed');
    } catch (error) {
      complain(error, 'Role not removed');
    }
    again();
  };
  const wrong = tags.some((t) => t.indexOf('=') < 1);
  return (
    <>
      {extra && <div style={{ padding: '12px 16px' }}>{extra}</div>}
      <h3 style={{ padding: '12px 16px 4px' }}>Roles</h3>
      <Shown
        query={grants}
        what="Grants"
        empty={{
          when: (list) => list.length === 0,
          show: <Empty title="No direct role">Without a role, direct or through a team, nothing is visible.</Empty>,
        }}
      >
        {(list) => (
          <>
            {list.map((held) => (
              <div className="line" key={held.id}>
                <div>
                  <b>{grantWords(held)}</b>
                  <div className="muted">
                    {EXPLAINED[held.role]} · since <Ago at={held.created_at} />
                  </div>
                </div>
                <Guarded permission="grants.write" onClick={() => void take(held)}>
                  Remove
                </Guarded>
              </div>
            ))}
          </>
        )}
      </Shown>
      <h3 style={{ padding: '16px 16px 4px' }}>Grant role</h3>
      <div style={{ padding: '4px 16px 20px', display: 'grid', gap: 10 }}>
        <Select
          label="Role"
          data={ROLES.map((r) => ({ value: r, label: `${r}: ${EXPLAINED[r]}` }))}
          value={role}
          onChange={(v) => setRole((v ?? 'viewer') as Role)}
        />
        <Select
          label="Scope: team"
          placeholder="All teams"
          clearable
          allowDeselect
          data={teams.map((t) => ({ value: t.id, label: t.name }))}
          value={team}
          onChange={setTeam}
        />
        <TagsInput
          label="Scope: item tags"
          placeholder="env=prod"
          value={tags}
          onChange={setTags}
          error={wrong ? 'use name=value' : null}
        />
        <div>
          <Guarded
            permission="grants.write"
            tone="primary"
            onClick={() => void add()}
            refusal={wrong ? 'Use tags as name=value.' : null}
          >
            Grant {role}
          </Guarded>
        </div>
      </div>
    </>
  );
}
