/** Teams, their members and what they hold. */
import { Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { addMember, createTeam, membersQuery, peopleQuery, removeMember, type Team, teamsQuery } from '@/api/access';
import { Guarded } from '@/parts/action';
import { Card } from '@/parts/card';
import { FormDialog } from '@/parts/dialog';
import { Empty, Shown } from '@/parts/states';
import { complain, say } from '@/parts/toast';
import { useParam } from '@/parts/url';
import { GrantsDrawer } from './grants';
import { TeamExtra } from './holderExtra';

export function Teams() {
  const teams = useQuery(teamsQuery);
  const queries = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [open, setOpen] = useParam('team');
  const chosen = teams.data?.items.find((t) => t.id === open) ?? null;
  return (
    <div className="below">
      <Card
        title="Teams"
        flush
        aside={
          <Guarded permission="teams.write" onClick={() => setAdding(true)}>
            Add team
          </Guarded>
        }
      >
        <Shown
          query={teams}
          what="Teams"
          empty={{
            when: (p) => p.items.length === 0,
            show: (
              <Empty title="No teams yet">
                Teams own items, receive notifications, and pass their roles to their members.
              </Empty>
            ),
          }}
        >
          {(page) => (
            <>
              {page.items.map((team) => (
                <TeamLine key={team.id} team={team} open={() => setOpen(team.id)} />
              ))}
            </>
          )}
        </Shown>
      </Card>
      <GrantsDrawer
        holder="teams"
        id={chosen?.id ?? null}
        name={chosen?.name ?? ''}
        close={() => setOpen('')}
        extra={
          chosen && (
            <div key={chosen.id} style={{ display: 'grid', gap: 14 }}>
              <TeamExtra team={chosen} close={() => setOpen('')} />
              <div>
                <Members team={chosen} />
              </div>
            </div>
          )
        }
      />
      {adding && (
        <AddTeam close={() => setAdding(false)} done={() => void queries.invalidateQueries({ queryKey: ['teams'] })} />
      )}
    </div>
  );
}

function TeamLine({ team, open }: { team: Team; open: () => void }) {
  const members = useQuery(membersQuery(team.id)).data;
  return (
    <button type="button" className="plain line" style={{ width: '100%' }} onClick={open}>
      <span>
        <b>{team.name}</b>
        <div className="muted">{team.description}</div>
      </span>
      <span className="muted">{members ? members.map((m) => m.name).join(', ') || 'nobody' : '…'}</span>
    </button>
  );
}

function Members({ team }: { team: Team }) {
  const queries = useQueryClient();
  const members = useQuery(membersQuery(team.id));
  const people = useQuery(peopleQuery).data?.items ?? [];
  const act = async (what: Promise<unknown>, done: string) => {
    try {
      await what;
      say(done);
    } catch (error) {
      complain(error);
    }
    void queries.invalidateQueries({ queryKey: ['teams'] });
    void queries.invalidateQueries({ queryKey: ['people'] });
  };
  const others = people.filter((p) => !members.data?.some((m) => m.id === p.id));
  return (
    <>
      <h3>Members</h3>
      {(members.data ?? []).map((member) => (
        <div className="row between" key={member.id} style={{ padding: '4px 0' }}>
          <span>{member.name}</span>
          <Guarded
            permission="teams.write"
            tone="quiet"
            onClick={() => void act(removeMember(team.id, member.id), 'Removed')}
          >
            Remove
          </Guarded>
        </div>
      ))}
      <Select
        placeholder="Add member…"
        aria-label="Add member"
        searchable
        data={others.map((p) => ({ value: p.id, label: p.name }))}
        value={null}
        onChange={(id) => id && void act(addMember(team.id, id), 'Added')}
      />
    </>
  );
}

function AddTeam({ close, done }: { close: () => void; done: () => void }) {
  const [name, setName] = useState('');
  const [description, setDescription] = useState('');
  return (
    <FormDialog
      title="Add team"
      open
      close={close}
      verb="Add team"
      submit={async () => {
        await createTeam({ name, description });
        say('Added');
        done();
      }}
    >
      {(fault) => (
        <>
          <TextInput
            label="Name"
            required
            data-autofocus
            value={name}
            onChange={(e) => setName(e.currentTarget.value)}
            error={fault('name')}
          />
          <TextInput
            label="Responsibility"
            value={description}
            onChange={(e) => setDescription(e.currentTarget.value)}
            error={fault('description')}
          />
        </>
      )}
    </FormDialog>
  );
}
