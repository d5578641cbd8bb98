/** The answer as a table: one row a series. */
import { useMemo } from 'react';
import type { Series } from '@/api/telemetry';
import { Card } from '@/parts/card';
import { format, plural, type Unit } from '@/parts/number';
import { type Column, DataTable } from '@/parts/table';

export function MetricTable({ series, unit }: { series: Series[]; unit: Unit }) {
  const columns = useMemo((): Column<Series>[] => {
    const names = [...new Set(series.flatMap((s) => Object.keys(s.labels)))].sort((a, b) =>
      a === '__name__' ? -1 : b === '__name__' ? 1 : a.localeCompare(b),
    );
    return [
      ...names.slice(0, 8).map(
        (name): Column<Series> => ({
          id: `l-${name}`,
          head: name === '__name__' ? 'metric' : name,
          value: (s) => s.labels[name],
          cell: (s) => <span className="mono break">{s.labels[name]}</span>,
        }),
      ),
      {
        id: 'value',
        head: 'Value',
        value: (s) => s.points[0]?.[1],
        cell: (s) => <b>{format(s.points[0]?.[1], unit)}</b>,
        number: true,
      },
    ];
  }, [series, unit]);
  return (
    <div className="below">
      <Card title="Latest values" flush>
        <DataTable
          rows={series}
          columns={columns}
          id={(s) => JSON.stringify(s.labels)}
          label="Series"
          csv="metrics"
          sort="-value"
          aside={plural(series.length, 'series', 'series')}
        />
      </Card>
    </div>
  );
}
