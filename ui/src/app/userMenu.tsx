/** The person, the colour scheme, the keys, and the way out. */
import { Menu } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { stopFeed } from '@/api/live';
import { signOut } from '@/api/session';
import type { Session } from '@/api/types';
import { keysOff } from '@/parts/keys';
import { complain } from '@/parts/toast';
import { PasswordDialog } from './password';
import { choose, type Scheme, useScheme } from './theme';

const SCHEMES: [Scheme, string][] = [
  ['auto', 'System'],
  ['light', 'Light'],
  ['dark', 'Dark'],
];

function initials(name: string): string {
  return name
    .split(/\s+/)
    .map((part) => part.charAt(0))
    .slice(0, 2)
    .join('')
    .toUpperCase();
}

export function UserMenu({ session, help }: { session: Session; help: () => void }) {
  const { chosen } = useScheme();
  const queries = useQueryClient();
  const [password, setPassword] = useState(false);
  const [keys, setKeys] = useState(!keysOff());
  const leave = async () => {
    try {
      await signOut();
      stopFeed();
      queries.clear();
      window.location.assign('/sign-in');
    } catch (error) {
      complain(error, 'Could not sign out');
    }
  };
  const turnKeys = () => {
    localStorage.setItem('mainstay.keys', keys ? 'off' : 'on');
    setKeys(!keys);
  };
  return (
    <>
      <Menu position="bottom-end" width={220}>
        <Menu.Target>
          <button
            type="button"
            className="plain"
            aria-label={`Menu of ${session.actor.name}`}
            style={{
              width: 28,
              height: 28,
              borderRadius: 14,
              background: 'var(--accent-soft)',
              color: 'var(--accent)',
              fontWeight: 600,
              fontSize: 11,
              textAlign: 'center',
              flex: 'none',
            }}
          >
            {initials(session.actor.name)}
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>
            {session.actor.name} · {session.roles.join(', ')}
          </Menu.Label>
          {session.actor.kind === 'person' && <Menu.Item onClick={() => setPassword(true)}>Change password…</Menu.Item>}
          <Menu.Item onClick={help} rightSection={<kbd>?</kbd>}>
            Keys
          </Menu.Item>
          <Menu.Item onClick={turnKeys}>{keys ? 'Turn single keys off' : 'Turn single keys on'}</Menu.Item>
          <Menu.Label>Colours</Menu.Label>
          {SCHEMES.map(([scheme, text]) => (
            <Menu.Item key={scheme} onClick={() => choose(scheme)} rightSection={chosen === scheme ? '✓' : null}>
              {text}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item onClick={() => void leave()}>Sign out</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <PasswordDialog open={password} close={() => setPassword(false)} />
    </>
  );
}
