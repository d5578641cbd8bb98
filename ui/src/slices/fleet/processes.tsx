/** The processes of a host that use most. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { instantQuery } from '@/api/telemetry';
import { Card } from '@/parts/card';
import { bytes, percent, plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { type Column, DataTable } from '@/parts/table';

interface Process {
  key: string;
  name: string;
  user: string;
  pid: string;
  cpu: number;
  memory: number;
}

function useProcesses(host: string) {
  const on = `{instance=${JSON.stringify(host)}}`;
  const cpu = useQuery(instantQuery(`mainstay_process_cpu_ratio${on}`, 2000));
  const memory = useQuery(instantQuery(`mainstay_process_resident_memory_bytes${on}`, 5000));
  const rows = useMemo((): Process[] => {
    const resident = new Map((memory.data ?? []).map((s) => [s.labels.pid, s.points[0]?.[1] ?? 0]));
    return (cpu.data ?? [])
      .map((s) => ({
        key: s.labels.pid ?? '',
        name: s.labels.name ?? s.labels.command ?? '',
        user: s.labels.user ?? '',
        pid: s.labels.pid ?? '',
        cpu: s.points[0]?.[1] ?? 0,
        memory: resident.get(s.labels.pid) ?? Number.NaN,
      }))
      .sort((a, b) => b.cpu - a.cpu);
  }, [cpu.data, memory.data]);
  return { cpu, rows };
}

const COLUMNS: Column<Process>[] = [
  { id: 'name', head: 'Process', value: (p) => p.name, cell: (p) => <span className="mono break">{p.name}</span> },
  { id: 'user', head: 'User', value: (p) => p.user, cell: (p) => <span className="muted">{p.user}</span>, wide: true },
  { id: 'pid', head: 'PID', value: (p) => Number(p.pid), number: true, wide: true },
  { id: 'cpu', head: 'Processor', value: (p) => p.cpu, cell: (p) => percent(p.cpu, 1), number: true },
  { id: 'memory', head: 'Memory', value: (p) => p.memory, cell: (p) => bytes(p.memory), number: true },
];

const NONE = (
  <Empty title="No process is reported">The agent sends those that use most; they appear here within seconds.</Empty>
);

export function TopProcesses({ host }: { host: string }) {
  const { cpu, rows } = useProcesses(host);
  return (
    <Card title="Top processes" aside="sorted by processor" flush>
      <Shown query={cpu} what="Processes" empty={{ when: () => rows.length === 0, show: NONE }}>
        {() => (
          <DataTable
            rows={rows.slice(0, 6)}
            columns={COLUMNS.filter((c) => c.id !== 'pid')}
            id={(p) => p.key}
            label="Top processes"
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
      <Card title="Processes" aside="those that use most" flush>
        <Shown query={cpu} what="Processes" empty={{ when: () => rows.length === 0, show: NONE }}>
          {() => (
            <DataTable
              rows={rows}
              columns={COLUMNS}
              id={(p) => p.key}
              label="Processes"
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
