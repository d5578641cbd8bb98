/** What is on a host, one kind at a time, as a table. */
import { useQuery } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { type Item, type ItemDetail, itemsQuery } from '@/api/inventory';
import { Card } from '@/parts/card';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { type Column, DataTable } from '@/parts/table';

export function useParts(host: ItemDetail, kind: string) {
  return useQuery(itemsQuery(`kind=${kind} on=${JSON.stringify(host.name)}`, 500));
}

export function PartTable({
  host,
  kind,
  title,
  columns,
  empty,
  hint,
  sort,
}: {
  host: ItemDetail;
  kind: string;
  title: string;
  columns: Column<Item>[];
  empty: string;
  /** Why it is empty, or what would fill it. */
  hint?: string;
  sort?: string;
}) {
  const parts = useParts(host, kind);
  const router = useRouter();
  return (
    <div className="below">
      <Card title={title} flush>
        <Shown
          query={parts}
          what={title}
          empty={{ when: (p) => p.items.length === 0, show: <Empty title={empty}>{hint}</Empty> }}
        >
          {(page) => (
            <DataTable
              rows={page.items}
              columns={columns}
              id={(i) => i.id}
              label={title}
              csv={`${host.name}-${kind}`}
              sort={sort}
              param={`sort-${kind}`}
              aside={plural(page.items.length, kind.replaceAll('_', ' '))}
              open={(i) => router.history.push(`/items/${i.id}`)}
            />
          )}
        </Shown>
      </Card>
    </div>
  );
}
