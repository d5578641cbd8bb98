/** A person's own data, where they are signed in, and the ways to shut them out. */
import { PasswordInput, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { closeSessions, deletePerson, type PersonDetail, patchPerson, sessionsQuery } from '@/api/access';
import { useSession } from '@/api/session';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { ConfirmDialog, FormDialog } from '@/parts/dialog';
import { complain, say } from '@/parts/toast';

export function PersonExtra({ person, close }: { person: PersonDetail; close: () => void }) {
  const queries = useQueryClient();
  const me = useSession()?.actor.id;
  const sessions = useQuery({ ...sessionsQuery(person.id), retry: false }).data;
  const [asked, ask] = useState<'edit' | 'delete' | null>(null);
  const again = () => void queries.invalidateQueries({ queryKey: ['people'] });
  const act = async (what: Promise<unknown>, done: string) => {
    try {
      await what;
      say(done);
    } catch (error) {
      complain(error);
    }
    again();
  };
  const own = person.id === me ? 'You cannot disable or delete your own account.' : null;
  return (
    <div style={{ display: 'grid', gap: 10 }}>
      <div className="muted break">
        {person.login}
        {person.email && ` · ${person.email}`} · since <Ago at={person.created_at} />
      </div>
      <div className="row wrap">
        <Guarded permission="people.write" onClick={() => ask('edit')}>
          Edit…
        </Guarded>
        <Guarded
          permission="people.write"
          refusal={own}
          onClick={() =>
            void act(
              patchPerson(person.id, { is_disabled: !person.is_disabled }),
              person.is_disabled ? 'Enabled' : 'Disabled; sessions ended',
            )
          }
        >
          {person.is_disabled ? 'Enable' : 'Disable'}
        </Guarded>
        <Guarded permission="people.write" tone="quiet" refusal={own} onClick={() => ask('delete')}>
          Delete…
        </Guarded>
      </div>
      {sessions && (
        <>
          <div className="row between" style={{ marginTop: 6 }}>
            <h3>Sessions</h3>
            {sessions.length > 0 && (
              <Guarded
                permission="people.write"
                tone="quiet"
                onClick={() => void act(closeSessions(person.id), 'All sessions ended')}
              >
                End all sessions
              </Guarded>
            )}
          </div>
          {sessions.length === 0 && <span className="muted">none</span>}
          {sessions.map((s) => (
            <div key={s.id}>
              <span className="break">{browser(s.user_agent)}</span>
              <div className="muted">
                from <span className="mono">{s.address}</span> · seen <Ago at={s.seen_at} />
              </div>
            </div>
          ))}
        </>
      )}
      {asked === 'edit' && <Edit person={person} close={() => ask(null)} done={again} />}
      <ConfirmDialog
        title="Delete person"
        open={asked === 'delete'}
        close={() => ask(null)}
        verb={`Delete ${person.name}`}
        name={person.login}
        submit={async () => {
          await deletePerson(person.id);
          say('Deleted');
          again();
          close();
        }}
      >
        Sessions, roles and tokens end immediately. Past actions stay in the audit trail.
      </ConfirmDialog>
    </div>
  );
}

/** `Firefox on Linux`, from what the browser says of itself. */
export function browser(agent: string): string {
  const name = /Edg\//.test(agent)
    ? 'Edge'
    : /Firefox\//.test(agent)
      ? 'Firefox'
      : /Chrome\//.test(agent)
        ? 'Chrome'
        : /Safari\//.test(agent)
          ? 'Safari'
          : '';
  const system = /Android/.test(agent)
    ? 'Android'
    : /iPhone|iPad/.test(agent)
      ? 'iOS'
      : /Windows/.test(agent)
        ? 'Windows'
        : /Mac OS/.test(agent)
          ? 'macOS'
          : /Linux/.test(agent)
            ? 'Linux'
            : '';
  if (!name) return agent.slice(0, 60) || 'unknown client';
  return system ? `${name} on ${system}` : name;
}

function Edit({ person, close, done }: { person: PersonDetail; close: () => void; done: () => void }) {
  const [name, setName] = useState(person.name);
  const [email, setEmail] = useState(person.email ?? '');
  const [password, setPassword] = useState('');
  return (
    <FormDialog
      title={`Edit ${person.name}`}
      open
      close={close}
      verb="Save"
      submit={async () => {
        await patchPerson(person.id, { name, email, ...(password ? { password } : {}) });
        say(password ? 'Saved; all sessions ended' : 'Saved');
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
            label="E-mail"
            type="email"
            autoComplete="off"
            value={email}
            onChange={(e) => setEmail(e.currentTarget.value)}
            error={fault('email')}
          />
          <PasswordInput
            label="New password"
            description="Leave empty to keep the current password."
            autoComplete="new-password"
            value={password}
            onChange={(e) => setPassword(e.currentTarget.value)}
            error={fault('password')}
          />
        </>
      )}
    </FormDialog>
  );
}
