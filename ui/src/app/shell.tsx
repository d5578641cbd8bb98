/** The frame: navigation by verbs, search, the live badge, and the drawer on the right. */
import { Drawer } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useRouter, useRouterState } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { incidentsQuery } from '@/api/incidents';
import { startFeed } from '@/api/live';
import { sessionQuery, useSession } from '@/api/session';
import { ObjectDrawer } from '@/parts/drawer';
import { useKeys } from '@/parts/keys';
import { Toasts } from '@/parts/toast';
import { KeyHelp } from './help';
import { LiveBadge } from './liveBadge';
import { Palette } from './palette';
import { ALL_PLACES, DEMO, FOOT, PLACES, type Place } from './places';
import { UserMenu } from './userMenu';

export function Root() {
  return (
    <>
      <Outlet />
      <Toasts />
    </>
  );
}

function Brand() {
  return (
    <Link to="/" className="brand" style={{ background: 'none' }}>
      <svg
        width="20"
        height="20"
        viewBox="0 0 20 20"
        fill="none"
        stroke="var(--accent)"
        strokeWidth="1.8"
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden="true"
      >
        <path d="M10 2v16M10 3 3 17h14zM6.2 11h7.6" />
      </svg>
      <span className="text">Mainstay</span>
    </Link>
  );
}

function Entry({ place, open }: { place: Place; open?: string }) {
  const path = useRouterState({ select: (s) => s.location.pathname });
  const on =
    place.href === '/'
      ? path === '/'
      : path === place.href ||
        path.startsWith(`${place.href}/`) ||
        (place.href === '/inventory' && path.startsWith('/items/'));
  return (
    <Link
      to={place.href}
      className={on ? 'place on' : 'place'}
      aria-current={on ? 'page' : undefined}
      title={place.keys && `key ${place.keys}`}
    >
      {place.text}
      {open && open !== '0' ? (
        <span className="count">
          {open}
          <span className="sr"> open</span>
        </span>
      ) : null}
    </Link>
  );
}

function Navigation() {
  const open = useQuery(incidentsQuery({ state: 'open', limit: 200 })).data;
  const isDemo = useSession()?.permissions.includes('demo.read');
  return (
    <>
      {PLACES.map((group) => (
        <div key={group.verb} style={{ display: 'contents' }}>
          {group.verb && <h2>{group.verb}</h2>}
          {group.places.map((place) => (
            <Entry
              key={place.href}
              place={place}
              open={place.href === '/incidents' && open ? `${open.items.length}${open.next ? '+' : ''}` : undefined}
            />
          ))}
        </div>
      ))}
      <span className="grow" />
      {isDemo && <Entry place={DEMO} />}
      {FOOT.map((place) => (
        <Entry key={place.href} place={place} />
      ))}
    </>
  );
}

export function Shell() {
  const queries = useQueryClient();
  const router = useRouter();
  const session = useSession();
  const fresh = useQuery(sessionQuery);
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const [menu, setMenu] = useState(false);
  const path = useRouterState({ select: (s) => s.location.pathname });

  useEffect(() => startFeed(queries), [queries]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the menu closes when the page changes
  useEffect(() => setMenu(false), [path]);
  useEffect(() => {
    if (fresh.data === null) void router.invalidate();
  }, [fresh.data, router]);
  useEffect(() => {
    const open = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        setPalette(true);
      }
    };
    window.addEventListener('keydown', open);
    return () => window.removeEventListener('keydown', open);
  }, []);
  useKeys({
    ...Object.fromEntries(ALL_PLACES.flatMap((p) => (p.keys ? [[p.keys, () => router.history.push(p.href)]] : []))),
    '?': () => setHelp(true),
    '/': () => {
      const filter = document.querySelector<HTMLInputElement>('[data-filter]');
      if (filter) filter.focus();
      else setPalette(true);
    },
  });
  if (!session) return null;
  return (
    <div className="app">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <nav className="nav fixed" aria-label="Main">
        <Brand />
        <Navigation />
      </nav>
      <div style={{ minWidth: 0 }}>
        <header className="top">
          <button
            type="button"
            className="plain menu"
            aria-label="Menu"
            onClick={() => setMenu(true)}
            style={{ padding: 10, margin: '0 -4px 0 -10px' }}
          >
            <svg
              width="18"
              height="18"
              viewBox="0 0 18 18"
              stroke="currentColor"
              strokeWidth="1.6"
              strokeLinecap="round"
              aria-hidden="true"
              style={{ display: 'block' }}
            >
              <path d="M2 5h14M2 9h14M2 13h14" />
            </svg>
          </button>
          <button type="button" className="find grow" onClick={() => setPalette(true)} style={{ font: 'inherit' }}>
            <span className="cut">Find a host, incident, runbook, page…</span>
            <kbd>⌘K</kbd>
          </button>
          <span className="grow hide-s" />
          <LiveBadge />
          <UserMenu session={session} help={() => setHelp(true)} />
        </header>
        <main className="main" id="main" tabIndex={-1} style={{ outline: 'none' }}>
          <Outlet />
        </main>
      </div>
      <Drawer
        opened={menu}
        onClose={() => setMenu(false)}
        position="left"
        size={260}
        title="Mainstay"
        closeButtonProps={{ 'aria-label': 'Close the menu' }}
      >
        <nav className="nav" aria-label="Main" style={{ position: 'static', height: 'auto', border: 0 }}>
          <Navigation />
        </nav>
      </Drawer>
      <ObjectDrawer />
      <Palette open={palette} close={() => setPalette(false)} />
      <KeyHelp open={help} close={() => setHelp(false)} />
    </div>
  );
}
