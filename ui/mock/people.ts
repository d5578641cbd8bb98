/** Who signs in. */
import { ago } from './items.ts';

export const me = { id: 'per_00000001', name: 'Ada Berg' };
export const people = [
  {
    ...me,
    login: 'ada',
    email: 'ada@example.org',
    is_disabled: false,
    created_at: ago(86400 * 9),
    signed_in_at: ago(600),
    teams: [{ id: 'team_00000001', name: 'Web team', description: '' }],
    grants: [
      { id: 'gra_1', holder: me.id, role: 'administrator', scope: { team: null, tags: {} }, created_at: ago(86400) },
    ],
  },
  {
    id: 'per_00000002',
    name: 'Ben Cole',
    login: 'ben',
    email: 'ben@example.org',
    is_disabled: false,
    created_at: ago(86400 * 7),
    signed_in_at: ago(86400),
    teams: [],
    grants: [
      {
        id: 'gra_2',
        holder: 'per_00000002',
        role: 'operator',
        scope: { team: null, tags: { env: 'prod' } },
        created_at: ago(86400),
      },
    ],
  },
];
