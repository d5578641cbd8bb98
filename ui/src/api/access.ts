/** People, teams, service accounts, grants and tokens. */
import { queryOptions } from '@tanstack/react-query';
import { api, body } from './client';
import type { Labels, Page } from './types';

export interface Person {
  id: string;
  name: string;
  login: string;
  email: string;
  is_disabled: boolean;
  created_at: string;
  signed_in_at: string | null;
}

/** A person with their teams and what they hold. */
export interface PersonDetail extends Person {
  teams: Team[];
  grants: HeldGrant[];
}

export interface Team {
  id: string;
  name: string;
  description: string;
}

export interface ServiceAccount {
  id: string;
  name: string;
  description: string;
  is_disabled: boolean;
}

export interface HeldGrant {
  id: string;
  holder: string;
  role: string;
  scope: { team: string | null; tags: Labels };
  created_at: string;
}

export interface Token {
  id: string;
  owner: string;
  name: string;
  permissions: string[] | null;
  created_at: string;
  expires_at: string | null;
  used_at: string | null;
}

export type Role = (typeof ROLES)[number];
export const ROLES = ['viewer', 'operator', 'manager', 'administrator', 'auditor'] as const;

const at = (id: string) => ({ params: { path: { id } } });
const all = { params: { query: { limit: 200 } } };

export const peopleQuery = queryOptions({
  queryKey: ['people', 'list'],
  queryFn: () => body<Page<PersonDetail>>(api.GET('/api/v1/people', all)),
});
export const teamsQuery = queryOptions({
  queryKey: ['teams', 'list'],
  queryFn: () => body<Page<Team>>(api.GET('/api/v1/teams', all)),
});
export const membersQuery = (team: string) =>
  queryOptions({
    queryKey: ['teams', 'members', team],
    queryFn: () => body<Person[]>(api.GET('/api/v1/teams/{id}/members', at(team))),
  });
export const serviceAccountsQuery = queryOptions({
  queryKey: ['service-accounts'],
  queryFn: () => body<Page<ServiceAccount>>(api.GET('/api/v1/service-accounts', all)),
});
export const tokensQuery = queryOptions({
  queryKey: ['tokens'],
  queryFn: () => body<Page<Token>>(api.GET('/api/v1/tokens', all)),
});

export const createPerson = (person: { name: string; login: string; email: string; password: string }) =>
  body<Person>(api.POST('/api/v1/people', { body: person }));
export const patchPerson = (
  id: string,
  patch: Partial<Pick<Person, 'name' | 'email' | 'is_disabled'>> & { password?: string },
) => body<Person>(api.PATCH('/api/v1/people/{id}', { ...at(id), body: patch }));
export const createTeam = (team: { name: string; description: string }) =>
  body<Team>(api.POST('/api/v1/teams', { body: team }));
export const createServiceAccount = (account: { name: string; description: string }) =>
  body<ServiceAccount>(api.POST('/api/v1/service-accounts', { body: account }));
export const createToken = (token: {
  name: string;
  owner?: string;
  expires_in_days?: number;
  permissions?: string[];
}) => body<{ token: string; info: Token }>(api.POST('/api/v1/tokens', { body: token }));
export const revokeToken = (id: string) => body<void>(api.DELETE('/api/v1/tokens/{id}', at(id)));

export type Holder = 'people' | 'teams' | 'service-accounts';
export const holderGrantsQuery = (holder: Holder, id: string) =>
  queryOptions({
    queryKey: [holder, 'grants', id],
    queryFn: () => body<HeldGrant[]>(api.GET(`/api/v1/${holder}/{id}/grants`, at(id))),
  });
export const grant = (
  holder: Holder,
  id: string,
  wanted: { role: Role; scope: { team: string | null; tags: Labels } },
) => body<HeldGrant>(api.POST(`/api/v1/${holder}/{id}/grants`, { ...at(id), body: wanted }));
export const ungrant = (id: string) => body<void>(api.DELETE('/api/v1/grants/{id}', at(id)));
export const addMember = (team: string, person: string) =>
  body<Person[]>(api.POST('/api/v1/teams/{id}/members', { ...at(team), body: { person } }));
export const removeMember = (team: string, person: string) =>
  body<void>(api.DELETE('/api/v1/teams/{id}/members/{person}', { params: { path: { id: team, person } } }));

/** A browser in which a person is signed in. */
export interface OpenSession {
  id: string;
  created_at: string;
  seen_at: string;
  expires_at: string;
  address: string;
  user_agent: string;
}
export const sessionsQuery = (person: string) =>
  queryOptions({
    queryKey: ['people', 'sessions', person],
    queryFn: () => body<OpenSession[]>(api.GET('/api/v1/people/{id}/sessions', at(person))),
  });
export const closeSessions = (person: string) => body<void>(api.DELETE('/api/v1/people/{id}/sessions', at(person)));
export const deletePerson = (id: string) => body<void>(api.DELETE('/api/v1/people/{id}', at(id)));
export const patchTeam = (id: string, patch: { name?: string; description?: string }) =>
  body<Team>(api.PATCH('/api/v1/teams/{id}', { ...at(id), body: patch }));
export const deleteTeam = (id: string) => body<void>(api.DELETE('/api/v1/teams/{id}', at(id)));
export const patchServiceAccount = (id: string, patch: { is_disabled?: boolean }) =>
  body<ServiceAccount>(api.PATCH('/api/v1/service-accounts/{id}', { ...at(id), body: patch }));
export const deleteServiceAccount = (id: string) => body<void>(api.DELETE('/api/v1/service-accounts/{id}', at(id)));
