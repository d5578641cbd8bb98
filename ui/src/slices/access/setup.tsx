/** The first administrator, by the one-time link that the server printed at its start. */
import { PasswordInput, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { ProblemError } from '@/api/client';
import { sessionQuery, setUp, setupQuery } from '@/api/session';
import { Action } from '@/parts/action';
import { Shown } from '@/parts/states';
import { useParam } from '@/parts/url';
import { Frame } from './frame';

export function Setup() {
  const setup = useQuery(setupQuery);
  const [token] = useParam('token');
  return (
    <Shown query={setup} what="Server state">
      {({ needed }) => (needed ? <FirstPerson token={token} /> : <Done />)}
    </Shown>
  );
}

function Done() {
  return (
    <Frame title="Setup is complete" lede="An administrator exists; the one-time link is no longer valid.">
      <Link to="/sign-in" className="link">
        Sign in
      </Link>
    </Frame>
  );
}

function FirstPerson({ token: given }: { token: string }) {
  const queries = useQueryClient();
  const [token, setToken] = useState(given);
  const [name, setName] = useState('');
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ProblemError | null>(null);
  const fault = (field: string) => error?.errors.find((f) => f.field === field)?.message;
  const send = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await setUp({ token, name, login, password });
      await queries.fetchQuery({ ...sessionQuery, staleTime: 0 });
      window.location.assign('/hosts');
    } catch (caught) {
      setError(caught instanceof ProblemError ? caught : new ProblemError(0, 'Setup failed', String(caught), ''));
      setBusy(false);
    }
  };
  return (
    <Frame
      title="Create the administrator"
      lede="The only setup step. This host is already monitored; its charts come next."
    >
      <form onSubmit={(event) => void send(event)} style={{ display: 'grid', gap: 12 }}>
        {!given && (
          <TextInput
            label="One-time token"
            description="The server printed it at startup."
            required
            value={token}
            onChange={(e) => setToken(e.currentTarget.value)}
            error={fault('token')}
          />
        )}
        <TextInput
          label="Your name"
          name="name"
          autoComplete="name"
          required
          autoFocus
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          error={fault('name')}
        />
        <TextInput
          label="Login"
          name="login"
          autoComplete="username"
          required
          value={login}
          onChange={(e) => setLogin(e.currentTarget.value)}
          error={fault('login')}
        />
        <PasswordInput
          label="Password"
          name="password"
          description="At least 10 characters; a passphrase is best."
          autoComplete="new-password"
          required
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
          error={fault('password')}
        />
        {error && error.errors.length === 0 && (
          <div className="problem" role="alert">
            {error.detail || error.title}
          </div>
        )}
        <Action type="submit" tone="primary" busy={busy}>
          Create administrator
        </Action>
      </form>
    </Frame>
  );
}
