/** Who is signed in and what they may do. */
import { queryOptions, useQuery } from '@tanstack/react-query';
import { api, body, ProblemError, setCsrf } from './client';
import type { Session } from './types';

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: async (): Promise<Session | null> => {
    try {
      const session = await body<Session>(api.GET('/api/v1/session'));
      setCsrf(session.csrf_token ?? '');
      return session;
    } catch (error) {
      if (error instanceof ProblemError && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: 5 * 60_000,
});

export function useSession(): Session | null {
  return useQuery(sessionQuery).data ?? null;
}

/** Whether a permission is held: a page asks for nothing that its reader may not see. */
export function useMay(permission: string): boolean {
  return useSession()?.permissions.includes(permission) ?? false;
}

/** `null` when the permission is held, else the reason to show on the disabled button. */
export function useRefusal(permission: string): string | null {
  const session = useSession();
  if (!session) return 'Sign in first.';
  return refusal(session, permission);
}

export function refusal(session: Session, permission: string): string | null {
  if (session.permissions.includes(permission)) return null;
  const roles = session.roles.length > 0 ? session.roles.join(', ') : 'no role';
  return `Needs the permission ${permission}; you hold ${roles}.`;
}

export const setupQuery = queryOptions({
  queryKey: ['setup'],
  queryFn: () => body<{ needed: boolean }>(api.GET('/api/v1/setup')),
  staleTime: 60_000,
});

/** The server turns the token with the session; the next write needs the new one. */
async function keep(answer: Promise<Session>): Promise<Session> {
  const session = await answer;
  setCsrf(session.csrf_token ?? '');
  return session;
}

export const signIn = (credentials: { login: string; password: string }) =>
  keep(body<Session>(api.POST('/api/v1/session', { body: credentials })));

export const signOut = () => body<void>(api.DELETE('/api/v1/session'));

export const changePassword = (passwords: { current: string; new: string }) =>
  keep(body<Session>(api.POST('/api/v1/session/password', { body: passwords })));

export const setUp = (first: { token: string; name: string; login: string; password: string }) =>
  keep(body<Session>(api.POST('/api/v1/setup', { body: first })));
