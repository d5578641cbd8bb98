/** One item: attributes with their sources, relations, blast radius and history. */
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { historyQuery, type ItemDetail, impactQuery, itemQuery } from '@/api/inventory';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card, Chips, Headline } from '@/parts/card';
import { CopyButton } from '@/parts/copy';
import { useItemHealth } from '@/parts/health';
import { useHostNames } from '@/parts/names';
import { plural } from '@/parts/number';
import { Owner } from '@/parts/owner';
import { Empty, Failure, Shown, Skeleton } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { Timeline } from '@/parts/timeline';
import { Attributes } from './attributes';
import { EditDialog } from './edit';
import { Relations } from './relations';
import { RetireDialog } from './retire';

const words = (text: string) => text.replaceAll('_', ' ');

export function ItemPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const item = useQuery(itemQuery(id));
  if (item.data) return <Loaded item={item.data} />;
  return (
    <>
      <Headline
        tab="Item"
        crumbs={[{ text: 'Inventory', href: '/inventory' }]}
        title={item.isError ? 'Item cannot be shown' : 'Loading item…'}
      />
      <div className="card below">
        {item.isError ? <Failure error={item.error} retry={() => void item.refetch()} /> : <Skeleton rows={6} />}
      </div>
    </>
  );
}

function Loaded({ item }: { item: ItemDetail }) {
  const [asked, ask] = useState<'edit' | 'retire' | null>(null);
  const parent = useQuery({ ...itemQuery(item.parent ?? ''), enabled: item.parent !== null }).data;
  const health = useItemHealth(item);
  return (
    <>
      <Headline
        tab={item.name}
        crumbs={[
          { text: 'Inventory', href: '/inventory' },
          ...(parent
            ? [{ text: parent.name, href: parent.kind === 'host' ? `/hosts/${parent.id}` : `/items/${parent.id}` }]
            : []),
          { text: item.name },
        ]}
        title={item.name}
        facts={
          <>
            {health && (
              <StatusBadge status={health.status} pill>
                {health.word}
              </StatusBadge>
            )}
            <span>{words(item.kind)}</span>
            <Owner item={item} />
            <span>
              changed <Ago at={item.changed_at} />
            </span>
            <Chips values={Object.entries(item.tags).map(([k, v]) => `${k}=${v}`)} />
          </>
        }
        actions={
          <>
            {item.kind === 'host' && (
              <Link to="/hosts/$id" params={{ id: item.id }} className="link">
                Open host
              </Link>
            )}
            {item.state === 'active' && (
              <Guarded permission="items.write" onClick={() => ask('retire')}>
                Retire…
              </Guarded>
            )}
            <Guarded permission="items.write" onClick={() => ask('edit')}>
              Edit…
            </Guarded>
          </>
        }
      />
      <div className="cols side">
        <div className="stack">
          <Card title="Attributes" aside="value, source, time" flush>
            <Attributes item={item} />
          </Card>
          <History id={item.id} />
        </div>
        <div className="stack">
          <Relations item={item} />
          <WhatIf id={item.id} />
          {item.children.length > 0 && <Children item={item} />}
          <Card title="Identity" flush>
            <div className="line">
              <span className="muted">Id</span>
              <span className="row">
                <span className="mono cut" style={{ maxWidth: 190 }}>
                  {item.id}
                </span>
                <CopyButton value={item.id} label="Copy the id" />
              </span>
            </div>
            {item.identity.map((key) => (
              <div className="line" key={`${key.kind}${key.value}`}>
                <span className="muted">{words(key.kind)}</span>
                <span className="mono break right">{key.value}</span>
              </div>
            ))}
          </Card>
        </div>
      </div>
      {asked === 'edit' && <EditDialog item={item} close={() => ask(null)} />}
      {asked === 'retire' && <RetireDialog item={item} close={() => ask(null)} />}
    </>
  );
}

function History({ id }: { id: string }) {
  const history = useQuery(historyQuery(id));
  return (
    <Card title="History" aside="newest first" flush={history.data?.items.length === 0}>
      <Shown
        query={history}
        what="The history"
        empty={{ when: (p) => p.items.length === 0, show: <Empty title="No changes since discovery" /> }}
      >
        {(page) => <Timeline events={page.items} />}
      </Shown>
    </Card>
  );
}

function WhatIf({ id }: { id: string }) {
  const impact = useQuery(impactQuery(id));
  const hosts = useHostNames((impact.data?.affected.length ?? 0) > 0);
  return (
    <Card title="Blast radius" aside={impact.data ? plural(impact.data.affected.length, 'item') : undefined} flush>
      <Shown
        query={impact}
        what="The blast radius"
        rows={1}
        empty={{ when: (i) => i.affected.length === 0, show: <Empty title="No known dependents" /> }}
      >
        {(data) => (
          <>
            {data.affected.slice(0, 12).map((a) => (
              <div className="line" key={a.item.id}>
                <Link to="/items/$id" params={{ id: a.item.id }} className="under break">
                  {a.item.name}
                  {hosts.get(a.item.id) && <span className="muted"> on {hosts.get(a.item.id)}</span>}
                </Link>
                <span className="muted nowrap">
                  {words(a.item.kind)}, {plural(a.distance, 'hop')}
                </span>
              </div>
            ))}
          </>
        )}
      </Shown>
    </Card>
  );
}

function Children({ item }: { item: ItemDetail }) {
  return (
    <Card title="Contains" aside={plural(item.children.length, 'item')} flush>
      {item.children.slice(0, 15).map((child) => (
        <div className="line" key={child.id}>
          <Link to="/items/$id" params={{ id: child.id }} className="under break">
            {child.name}
          </Link>
          <span className="muted">{words(child.kind)}</span>
        </div>
      ))}
      {item.children.length > 15 && (
        <div className="line">
          <Link to="/inventory" search={{ q: `on=${JSON.stringify(item.name)}` } as never} className="link">
            All {item.children.length}
          </Link>
        </div>
      )}
    </Card>
  );
}
