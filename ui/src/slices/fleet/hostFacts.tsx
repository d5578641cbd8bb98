/** A host's packages, and what has changed on it. */
import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { historyQuery, type ItemDetail, type Package, packagesQuery } from '@/api/inventory';
import { Card } from '@/parts/card';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { type Column, DataTable } from '@/parts/table';
import { Timeline } from '@/parts/timeline';

const PACKAGES: Column<Package>[] = [
  { id: 'name', head: 'Package', value: (p) => p.name, cell: (p) => <b>{p.name}</b> },
  { id: 'version', head: 'Version', value: (p) => p.version, cell: (p) => <span className="mono">{p.version}</span> },
  { id: 'architecture', head: 'Architecture', value: (p) => p.architecture, wide: true },
];

export function Packages({ host }: { host: ItemDetail }) {
  const packages = useQuery(packagesQuery(host.id));
  const [filter, setFilter] = useState('');
  const shown = useMemo(
    () => (packages.data ?? []).filter((p) => p.name.includes(filter.trim())),
    [packages.data, filter],
  );
  return (
    <div className="below">
      <Card
        title="Packages"
        flush
        aside={
          <TextInput
            data-filter
            aria-label="Filter packages"
            placeholder="Filter by name…"
            value={filter}
            onChange={(e) => setFilter(e.currentTarget.value)}
            w={200}
          />
        }
      >
        <Shown
          query={packages}
          what="Packages"
          empty={{
            when: (p) => p.length === 0,
            show: <Empty title="No packages known">The agent lists dpkg and rpm packages.</Empty>,
          }}
        >
          {() => (
            <DataTable
              rows={shown}
              columns={PACKAGES}
              id={(p) => `${p.name} ${p.architecture} ${p.version}`}
              label="Packages"
              csv={`${host.name}-packages`}
              sort="name"
              param="sort-package"
              aside={plural(shown.length, 'package')}
            />
          )}
        </Shown>
      </Card>
    </div>
  );
}

export function HostHistory({ host }: { host: ItemDetail }) {
  const history = useQuery(historyQuery(host.id));
  return (
    <div className="below">
      <Card title="Recent changes" aside="newest first" flush={history.data?.items.length === 0}>
        <Shown
          query={history}
          what="The history"
          empty={{ when: (p) => p.items.length === 0, show: <Empty title="No changes since discovery" /> }}
        >
          {(page) => <Timeline events={page.items} />}
        </Shown>
      </Card>
    </div>
  );
}
