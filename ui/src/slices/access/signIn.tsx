/** Signing in, and back to where one wanted to go. */
import { PasswordInput, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { ProblemError } from '@/api/client';
import { sessionQuery, signIn } from '@/api/session';
import { Action } from '@/parts/action';
import { useParam } from '@/parts/url';
import { Frame } from './frame';

/** Only addresses of this server. */
export function safe(next: string): string {
  return next.startsWith('/') && !next.startsWith('//') && !next.startsWith('/\\') ? next : '/';
}

export function SignIn() {
  const [next] = useParam('next', '/');
  const queries = useQueryClient();
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ProblemError | null>(null);
  const send = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await signIn({ login, password });
      await queries.fetchQuery({ ...sessionQuery, staleTime: 0 });
      window.location.assign(safe(next));
    } catch (caught) {
      setError(caught instanceof ProblemError ? caught : new ProblemError(0, 'Sign-in failed', String(caught), ''));
      setBusy(false);
    }
  };
  return (
    <Frame title="Sign in" lede="Sign in to see incidents, hosts and services.">
      <form onSubmit={(event) => void send(event)} style={{ display: 'grid', gap: 12 }}>
        <TextInput
          label="Login"
          name="login"
          autoComplete="username"
          required
          autoFocus
          value={login}
          onChange={(e) => setLogin(e.currentTarget.value)}
        />
        <PasswordInput
          label="Password"
          name="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
        />
        {error && (
          <div className="problem" role="alert">
            {error.detail || error.title}
          </div>
        )}
        <Action type="submit" tone="primary" busy={busy}>
          Sign in
        </Action>
      </form>
    </Frame>
  );
}
