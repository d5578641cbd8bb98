/** People and their grants. */
import { PasswordInput, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { createPerson, type PersonDetail, peopleQuery } from '@/api/access';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { FormDialog } from '@/parts/dialog';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { say } from '@/parts/toast';
import { useParam } from '@/parts/url';
import { GrantsDrawer, grantWords } from './grants';
import { PersonExtra } from './personExtra';

const COLUMNS: Column<PersonDetail>[] = [
  {
    id: 'name',
    head: 'Name',
    value: (p) => p.name,
    cell: (p) => (
      <>
        <b>{p.name}</b>
        <div className="muted">
          {p.login}
          {p.email && ` · ${p.email}`}
        </div>
      </>
    ),
  },
  {
    id: 'state',
    head: 'State',
    value: (p) => (p.is_disabled ? 'disabled' : 'active'),
    cell: (p) => (
      <StatusBadge status={p.is_disabled ? 'unknown' : 'ok'}>{p.is_disabled ? 'Disabled' : 'Active'}</StatusBadge>
    ),
    width: 110,
  },
  {
    id: 'roles',
    head: 'Role',
    value: (p) => p.grants.map(grantWords).join(', '),
    cell: (p) =>
      p.grants.length > 0 ? p.grants.map(grantWords).join(', ') : <span className="faint">no direct role</span>,
  },
  { id: 'teams', head: 'Teams', value: (p) => p.teams.map((t) => t.name).join(', '), wide: true },
  {
    id: 'seen',
    head: 'Last sign-in',
    value: (p) => p.signed_in_at,
    cell: (p) => <Ago at={p.signed_in_at} />,
    number: true,
    wide: true,
  },
];

export function People() {
  const people = useQuery(peopleQuery);
  const queries = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [open, setOpen] = useParam('person');
  const chosen = people.data?.items.find((p) => p.id === open) ?? null;
  const again = () => void queries.invalidateQueries({ queryKey: ['people'] });
  return (
    <div className="below">
      <Card
        title="People"
        flush
        aside={
          <Guarded permission="people.write" onClick={() => setAdding(true)}>
            Add person
          </Guarded>
        }
      >
        <Shown
          query={people}
          what="People"
          empty={{ when: (p) => p.items.length === 0, show: <Empty title="No people yet" /> }}
        >
          {(page) => (
            <DataTable
              rows={page.items}
              columns={COLUMNS}
              id={(p) => p.id}
              label="People"
              csv="people"
              sort="name"
              aside={plural(page.items.length, 'person', 'people')}
              open={(p) => setOpen(p.id)}
            />
          )}
        </Shown>
      </Card>
      <GrantsDrawer
        holder="people"
        id={chosen?.id ?? null}
        name={chosen?.name ?? ''}
        close={() => setOpen('')}
        extra={chosen && <PersonExtra key={chosen.id} person={chosen} close={() => setOpen('')} />}
      />
      {adding && <AddPerson close={() => setAdding(false)} done={again} />}
    </div>
  );
}

function AddPerson({ close, done }: { close: () => void; done: () => void }) {
  const [name, setName] = useState('');
  const [login, setLogin] = useState('');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  return (
    <FormDialog
      title="Add person"
      open
      close={close}
      verb="Add person"
      submit={async () => {
        await createPerson({ name, login, email, password });
        say(`${name} added; grant a role next`);
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
            label="Login"
            required
            autoComplete="off"
            value={login}
            onChange={(e) => setLogin(e.currentTarget.value)}
            error={fault('login')}
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
            label="Initial password"
            description="Can be changed after sign-in."
            required
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
