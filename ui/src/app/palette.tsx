/** ⌘K: pages, hosts, services, incidents, runbooks and actions, by a few letters. */
import { Modal } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { type KeyboardEvent, useEffect, useId, useMemo, useState } from 'react';
import { runbooksQuery } from '@/api/automation';
import { acknowledge, incidentsQuery } from '@/api/incidents';
import { itemsQuery } from '@/api/inventory';
import { useSession } from '@/api/session';
import { type Found, rank } from '@/parts/rank';
import { complain, say } from '@/parts/toast';
import { ALL_PLACES, DEMO, SECTIONS } from './places';
import { choose, useScheme } from './theme';

export function Palette({ open, close }: { open: boolean; close: () => void }) {
  return (
    <Modal
      opened={open}
      onClose={close}
      withCloseButton={false}
      size={580}
      padding={0}
      yOffset="12vh"
      centered={false}
      title="Find anything"
      styles={{ header: { display: 'none' } }}
    >
      <Finder close={close} />
    </Modal>
  );
}

function useEntries(): Found[] {
  const router = useRouter();
  const queries = useQueryClient();
  const { shown } = useScheme();
  const isDemo = useSession()?.permissions.includes('demo.read') ?? false;
  const items = useQuery(itemsQuery('kind=host', 500)).data?.items;
  const services = useQuery(itemsQuery('kind=service', 500)).data?.items;
  const hosts = useMemo(() => new Map((items ?? []).map((h) => [h.id, h.name])), [items]);
  const incidents = useQuery(incidentsQuery({ limit: 100 })).data?.items;
  const runbooks = useQuery(runbooksQuery).data;
  return useMemo(() => {
    const go = (href: string) => () => router.history.push(href);
    return [
      ...ALL_PLACES.map((p) => ({ kind: 'Page', text: p.text, keys: p.keys, run: go(p.href) })),
      ...SECTIONS.map((p) => ({ kind: 'Page', text: p.text, run: go(p.href) })),
      ...(isDemo ? [{ kind: 'Page', text: DEMO.text, run: go(DEMO.href) }] : []),
      { kind: 'Action', text: 'Declare incident', run: go('/incidents?declare=yes') },
      { kind: 'Action', text: 'Silence alerts', run: go('/alerts?silence=new') },
      { kind: 'Action', text: 'Add host', run: go('/hosts?add=yes') },
      { kind: 'Action', text: 'New runbook', run: go('/runbooks/new') },
      ...(runbooks ?? []).map((r) => ({
        kind: 'Action',
        text: `Run: ${r.name}`,
        run: go(`/runbooks/${r.id}?run=yes`),
      })),
      ...(incidents ?? [])
        .filter((i) => i.state === 'triggered')
        .map((i) => ({
          kind: 'Action',
          text: `Acknowledge: ${i.title}`,
          run: () =>
            void acknowledge(i.id)
              .then(() => say('Acknowledged; escalation stops'), complain)
              .then(() => queries.invalidateQueries({ queryKey: ['incidents'] })),
        })),
      {
        kind: 'Action',
        text: shown === 'dark' ? 'Use light colours' : 'Use dark colours',
        run: () => choose(shown === 'dark' ? 'light' : 'dark'),
      },
      ...(incidents ?? []).map((i) => ({
        kind: 'Incident',
        text: i.title,
        detail: i.state,
        run: go(`/incidents/${i.id}`),
      })),
      ...(runbooks ?? []).map((r) => ({
        kind: 'Runbook',
        text: r.name,
        detail: r.description,
        run: go(`/runbooks/${r.id}`),
      })),
      ...[...(items ?? []), ...(services ?? [])].map((i) => ({
        kind: i.kind.charAt(0).toUpperCase() + i.kind.slice(1).replaceAll('_', ' '),
        text: i.name,
        detail: i.parent ? hosts.get(i.parent) && `on ${hosts.get(i.parent)}` : undefined,
        run: go(i.kind === 'host' ? `/hosts/${i.id}` : `/items/${i.id}`),
      })),
    ];
  }, [items, services, hosts, incidents, runbooks, router, queries, shown, isDemo]);
}

function Finder({ close }: { close: () => void }) {
  const list = useId();
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const entries = useEntries();
  const found = useMemo(() => rank(entries, text).slice(0, 40), [entries, text]);
  useEffect(() => {
    document.getElementById(`${list}-${at}`)?.scrollIntoView({ block: 'nearest' });
  }, [at, list]);
  const take = (entry: Found | undefined) => {
    if (!entry) return;
    close();
    entry.run();
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt(Math.min(at + 1, found.length - 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(at - 1, 0));
    else if (event.key === 'Enter') take(found[at]);
    else return;
    event.preventDefault();
  };
  return (
    <div>
      <input
        data-autofocus
        role="combobox"
        aria-expanded="true"
        aria-controls={list}
        aria-activedescendant={found.length > 0 ? `${list}-${at}` : undefined}
        aria-label="Find a host, incident, runbook, page or action"
        placeholder="Find a host, incident, runbook, page or action…"
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={press}
        style={{
          width: '100%',
          border: 0,
          borderBottom: '1px solid var(--line)',
          padding: '13px 16px',
          font: '14px var(--font)',
          background: 'none',
          color: 'var(--text)',
          outline: 'none',
        }}
      />
      <div id={list} role="listbox" aria-label="Found" style={{ maxHeight: 380, overflowY: 'auto', padding: 6 }}>
        {found.map((entry, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are handled by the field above
          <div
            key={`${entry.kind}-${entry.text}-${i}`}
            id={`${list}-${i}`}
            role="option"
            tabIndex={-1}
            aria-selected={i === at}
            onMouseMove={() => setAt(i)}
            onClick={() => take(entry)}
            className="row between"
            style={{
              padding: '6px 10px',
              borderRadius: 6,
              cursor: 'pointer',
              background: i === at ? 'var(--accent-soft)' : undefined,
            }}
          >
            <span className="cut">
              {entry.text} {entry.detail && <span className="muted">{entry.detail}</span>}
            </span>
            <span className="row faint small nowrap">
              {entry.keys && <kbd>{entry.keys}</kbd>}
              {entry.kind}
            </span>
          </div>
        ))}
        {found.length === 0 && <div className="empty">No results. Try fewer letters.</div>}
      </div>
    </div>
  );
}
