/** The processes of a host that use most. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { instantQuery, type Series } from '@/api/telemetry';
import { Card } from '@/parts/card';
import { within } from '@/parts/disk';
import { bytes, percent, plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { type Column, DataTable } from '@/parts/table';

/** Processes of one name together, as the agent counts them. */
interface Process {
  name: string;
  count: number;
  /** Processors' worth: 1.5 is one and a half. */
  cpu: number;
  memory: number;
}

function useProcesses(host: string) {
  const on = `{instance=${JSON.stringify(host)}}`;
  const cpu = useQuery(instantQuery(`rate(mainstay_process_cpu_seconds_total${on}[30s])`, 2000));
  const memory = useQuery(instantQuery(within(`mainstay_process_resident_memory_bytes${on}`, '1m'), 5000));
  const count = useQuery(instantQuery(within(`mainstay_process_count${on}`, '1m'), 5000));
  const rows = useMemo((): Process[] => {
    const by = (series: Series[] | undefined) =>
      new Map((series ?? []).map((s) => [s.labels.name ?? '', s.points[0]?.[1] ?? 0]));
    const [used, resident] = [by(cpu.data), by(memory.data)];
    // A rate looks back: what has ended a moment ago is left out by its count.
    return [...by(count.data ?? memory.data)]
      .filter(([, n]) => n > 0)
      .map(([name, n]) => ({
        name,
        count: n,
        cpu: used.get(name) ?? Number.NaN,
        memory: resident.get(name) ?? Number.NaN,
      }))
      .sort((a, b) => (b.cpu || 0) - (a.cpu || 0) || b.memory - a.memory);
  }, [cpu.data, memory.data, count.data]);
  return { cpu: memory, rows };
}

const COLUMNS: Column<Process>[] = [
  { id: 'name', head: 'Process', value: (p) => p.name, cell: (p) => <span className="mono break">{p.name}</span> },
  { id: 'count', head: 'Count', value: (p) => p.count, number: true, width: 76 },
  { id: 'cpu', head: 'CPU', value: (p) => p.cpu, cell: (p) => percent(p.cpu, 1), number: true, width: 84 },
  { id: 'memory', head: 'Memory', value: (p) => p.memory, cell: (p) => bytes(p.memory), number: true, width: 84 },
];

const NONE = (
  <Empty title="No processes reported">The agent reports the top processes; they appear here within seconds.</Empty>
);

export function TopProcesses({ host }: { host: string }) {
  const { cpu, rows } = useProcesses(host);
  return (
    <Card title="Top processes" aside="by CPU" flush>
      <Shown query={cpu} what="Processes" empty={{ when: () => rows.length === 0, show: NONE }}>
        {() => (
          <DataTable
            rows={rows.slice(0, 6)}
            columns={COLUMNS}
            id={(p) => p.name}
            label="Top processes"
            stays
            param="sort-top"
          />
        )}
      </Shown>
    </Card>
  );
}

export function Processes({ host }: { host: string }) {
  const { cpu, rows } = useProcesses(host);
  return (
    <div className="below">
      <Card title="Processes" aside="top processes" flush>
        <Shown query={cpu} what="Processes" empty={{ when: () => rows.length === 0, show: NONE }}>
          {() => (
            <DataTable
              rows={rows}
              columns={COLUMNS}
              id={(p) => p.name}
              label="Processes"
              stays
              csv={`${host}-processes`}
              sort="-cpu"
              param="sort-process"
              aside={plural(rows.length, 'process', 'processes')}
            />
          )}
        </Shown>
      </Card>
    </div>
  );
}
