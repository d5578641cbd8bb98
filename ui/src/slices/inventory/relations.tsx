/** What an item is tied to; ties that a person knows of are added here, and taken away. */
import { Select } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import {
  createRelation,
  deleteRelation,
  type ItemDetail,
  itemsQuery,
  type RelationKind,
  relationsQuery,
} from '@/api/inventory';
import { Guarded } from '@/parts/action';
import { Card } from '@/parts/card';
import { FormDialog } from '@/parts/dialog';
import { useHostNames } from '@/parts/names';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { complain, say } from '@/parts/toast';

const words = (text: string) => text.replaceAll('_', ' ');
const SHOWN = 30;

export function Relations({ item }: { item: ItemDetail }) {
  const relations = useQuery(relationsQuery(item.id));
  const hosts = useHostNames((relations.data?.length ?? 0) > 0);
  const queries = useQueryClient();
  const [adding, setAdding] = useState(false);
  const again = () => {
    void queries.invalidateQueries({ queryKey: ['items'] });
    void queries.invalidateQueries({ queryKey: ['map'] });
  };
  return (
    <Card
      title="Relations"
      flush
      aside={
        <Guarded permission="items.write" onClick={() => setAdding(true)} label="Add relation">
          Add
        </Guarded>
      }
    >
      <Shown
        query={relations}
        what="Relations"
        empty={{
          when: (r) => r.length === 0,
          show: (
            <Empty title="No relations known">Relations come from observed connections or are added manually.</Empty>
          ),
        }}
      >
        {(list) => (
          <>
            {list.slice(0, SHOWN).map((r) => {
              const out = r.from.id === item.id;
              const other = out ? r.to : r.from;
              return (
                <div className="line" key={`${r.from.id}${r.kind}${r.to.id}${r.source}`}>
                  <div style={{ minWidth: 0 }}>
                    <Link to="/items/$id" params={{ id: other.id }} className="under break">
                      <b>{other.name}</b>
                    </Link>
                    {hosts.get(other.id) && <span className="muted"> on {hosts.get(other.id)}</span>}
                    <div className="muted">{out ? words(r.kind) : `${words(r.kind)} this`}</div>
                  </div>
                  {r.source === 'manual' ? (
                    <Guarded
                      permission="items.write"
                      tone="quiet"
                      onClick={() =>
                        void deleteRelation(r.from.id, r.kind as RelationKind, r.to.id)
                          .then(() => say('Relation removed'), complain)
                          .then(again)
                      }
                    >
                      Remove
                    </Guarded>
                  ) : (
                    <span className="faint mono">{r.source.split(':')[0]}</span>
                  )}
                </div>
              );
            })}
            {list.length > SHOWN && <div className="line muted">and {plural(list.length - SHOWN, 'more')}</div>}
          </>
        )}
      </Shown>
      {adding && <AddRelation item={item} close={() => setAdding(false)} done={again} />}
    </Card>
  );
}

const KINDS: { value: RelationKind; label: string }[] = [
  { value: 'depends_on', label: 'depends on' },
  { value: 'runs_on', label: 'runs on' },
  { value: 'part_of', label: 'is part of' },
  { value: 'connects_to', label: 'connects to' },
];

function AddRelation({ item, close, done }: { item: ItemDetail; close: () => void; done: () => void }) {
  const [kind, setKind] = useState<RelationKind>('depends_on');
  const [to, setTo] = useState<string | null>(null);
  const [typed, type] = useState('');
  const [settled] = useDebouncedValue(typed.trim(), 250);
  const query = settled ? `name=${JSON.stringify(`*${settled}*`)}` : 'kind=service';
  const items = useQuery({ ...itemsQuery(query, 50), retry: false }).data?.items ?? [];
  const hosts = new Map((useQuery(itemsQuery('kind=host', 500)).data?.items ?? []).map((h) => [h.id, h.name]));
  const data = items
    .filter((i) => i.id !== item.id)
    .map((i) => ({
      value: i.id,
      label: `${i.name}${i.parent && hosts.has(i.parent) ? ` on ${hosts.get(i.parent)}` : ''}, ${words(i.kind)}`,
    }));
  return (
    <FormDialog
      title={`${item.name} …`}
      open
      close={close}
      verb="Add relation"
      refusal={to ? null : 'Select an item.'}
      submit={async () => {
        await createRelation(item.id, { kind, to: to ?? '' });
        say('Added');
        done();
      }}
    >
      {(fault) => (
        <>
          <Select
            label="Relation"
            data={KINDS}
            value={kind}
            onChange={(v) => setKind((v ?? 'depends_on') as RelationKind)}
            error={fault('kind')}
          />
          <Select
            label="Item"
            placeholder="Search by name"
            searchable
            data-autofocus
            filter={({ options }) => options}
            nothingFoundMessage="No match"
            data={data}
            value={to}
            onChange={setTo}
            onSearchChange={type}
            error={fault('to')}
          />
        </>
      )}
    </FormDialog>
  );
}
