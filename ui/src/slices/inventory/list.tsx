/** Inventory: everything that is known, by selector. */
import { TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { useState } from 'react';
import { type Item, itemsQuery } from '@/api/inventory';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card, Chips, Headline } from '@/parts/card';
import { plural } from '@/parts/number';
import { OwnerName } from '@/parts/owner';
import { Empty, Shown } from '@/parts/states';
import { ofService, StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { useParam } from '@/parts/url';
import { AddItem } from './addItem';

const KINDS = [
  'host',
  'service',
  'disk',
  'interface',
  'certificate',
  'container',
  'database',
  'package_set',
  'endpoint',
];

const state = (item: Item) => (item.state === 'retired' ? 'retired' : String(item.attributes.state?.value ?? ''));

const COLUMNS: Column<Item>[] = [
  { id: 'name', head: 'Name', value: (i) => i.name, cell: (i) => <b className="break">{i.name}</b> },
  { id: 'kind', head: 'Kind', value: (i) => i.kind, cell: (i) => i.kind.replaceAll('_', ' '), width: 120 },
  {
    id: 'state',
    head: 'State',
    value: state,
    cell: (i) =>
      state(i) ? (
        <StatusBadge status={state(i) === 'retired' ? 'unknown' : ofService(state(i))}>{state(i)}</StatusBadge>
      ) : (
        <span className="faint">–</span>
      ),
    wide: true,
    width: 120,
  },
  {
    id: 'owner',
    head: 'Owner',
    value: (i) => i.owner ?? i.team,
    cell: (i) => <OwnerName item={i} />,
    roomy: true,
  },
  {
    id: 'tags',
    head: 'Tags',
    value: (i) =>
      Object.entries(i.tags)
        .map(([k, v]) => `${k}=${v}`)
        .join(' '),
    cell: (i) => <Chips values={Object.entries(i.tags).map(([k, v]) => `${k}=${v}`)} />,
    wide: true,
  },
  {
    id: 'source',
    head: 'Source',
    value: (i) => i.source,
    cell: (i) => <span className="muted break">{i.source.split(':')[0]}</span>,
    roomy: true,
  },
  { id: 'changed', head: 'Changed', value: (i) => i.changed_at, cell: (i) => <Ago at={i.changed_at} />, number: true },
];

export function Inventory() {
  const [q, setQ] = useParam('q', 'kind=host');
  const [draft, setDraft] = useState(q);
  const [adding, setAdding] = useState(false);
  const [settled] = useDebouncedValue(draft, 250);
  const items = useQuery(itemsQuery(settled.trim(), 500));
  const router = useRouter();
  const take = (text: string) => {
    setDraft(text);
    setQ(text);
  };
  const count = items.data?.items.length;
  const wrong = items.isError ? String(items.error.message) : null;
  return (
    <>
      <Headline
        tab="Inventory"
        title={
          wrong
            ? 'Invalid selector'
            : count === undefined
              ? 'Inventory'
              : `${items.data?.next ? 'More than ' : ''}${plural(count, 'item')} ${settled.trim() ? (count === 1 ? 'matches' : 'match') : ''}`
        }
        lede="Every value has a source and a time. Manual values take precedence; observed values stay visible."
        actions={
          <Guarded permission="items.write" onClick={() => setAdding(true)}>
            Add item
          </Guarded>
        }
      />
      <div className="below" style={{ display: 'grid', gap: 10 }}>
        <TextInput
          data-filter
          aria-label="Selector"
          placeholder="kind=host name=web-* tag:env=prod attr:os_name=Debian*"
          value={draft}
          onChange={(e) => take(e.currentTarget.value)}
          error={wrong}
          styles={{ input: { fontFamily: 'var(--mono)', fontSize: 12.5 } }}
        />
        <div className="row wrap tight">
          {KINDS.map((kind) => (
            <button
              type="button"
              key={kind}
              className="cell plain"
              style={{ padding: '3px 8px' }}
              onClick={() => take(`kind=${kind}`)}
              aria-pressed={draft.trim() === `kind=${kind}`}
            >
              {kind.replaceAll('_', ' ')}
            </button>
          ))}
          <button
            type="button"
            className="cell plain"
            style={{ padding: '3px 8px' }}
            aria-pressed={draft.trim() === 'state=retired'}
            onClick={() => take('state=retired')}
          >
            retired
          </button>
        </div>
      </div>
      <div className="below">
        <Card title="Items" flush>
          <Shown
            query={items}
            what="Items"
            rows={8}
            empty={{
              when: (p) => p.items.length === 0,
              show: (
                <Empty title="No items match">
                  Terms are joined by "and"; * stands for any text; kind, name, tag:NAME, attr:NAME, on, team, owner and
                  state can be asked for.
                </Empty>
              ),
            }}
          >
            {(page) => (
              <DataTable
                rows={page.items}
                columns={COLUMNS}
                id={(i) => i.id}
                label="Items"
                csv="items"
                aside={page.next ? 'first 500; narrow the selector to see more' : plural(page.items.length, 'item')}
                open={(i) => router.history.push(i.kind === 'host' ? `/hosts/${i.id}` : `/items/${i.id}`)}
              />
            )}
          </Shown>
        </Card>
      </div>
      {adding && <AddItem kinds={KINDS} close={() => setAdding(false)} />}
    </>
  );
}
