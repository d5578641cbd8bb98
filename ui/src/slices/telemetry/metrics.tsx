/** Metrics: a PromQL query as chart and table, its faults marked where they are. */
import { SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import { instantQuery, metricNamesQuery, QueryError, rangeQuery } from '@/api/telemetry';
import { Action } from '@/parts/action';
import { Card, Headline } from '@/parts/card';
import { DATA_DISKS, diskUsed } from '@/parts/disk';
import { Editor, type Fault, Faults } from '@/parts/editor';
import { plural } from '@/parts/number';
import { TimeRangePicker, useRange } from '@/parts/range';
import { Empty, Failure, Skeleton } from '@/parts/states';
import { useParam } from '@/parts/url';
import { FUNCTIONS } from './functions';
import { unitOf } from './guess';
import { MetricChart } from './metricChart';
import { MetricTable } from './metricTable';

const STARTERS: [string, string][] = [
  ['CPU utilization by host', '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))'],
  ['Memory usage by host', '1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes'],
  ['Disk usage', diskUsed(DATA_DISKS)],
  ['Network receive rate by host', 'sum by (instance) (rate(node_network_receive_bytes_total{device!="lo"}[5m])) * 8'],
];

/** An error of the query as a fault to mark; at the beginning when it does not say where. */
export function faultOf(error: unknown): Fault[] {
  if (!(error instanceof QueryError)) return [];
  const message = error.message.replace(/^(line \d+, column \d+|\d+:\d+):\s*/, '');
  return [{ ...(error.place ?? { line: 1, column: 1 }), message }];
}

export function Metrics() {
  const [expr, setExpr] = useParam('expr');
  const [view, setView] = useParam('view', 'chart');
  const range = useRange('1h');
  const [draft, setDraft] = useState(expr);
  const names = useQuery(metricNamesQuery);
  const chart = useQuery({
    ...rangeQuery(expr, range.span, null, range.step, Math.max(5000, range.step * 1000)),
    enabled: expr !== '' && view === 'chart',
  });
  const table = useQuery({ ...instantQuery(expr, 10_000), enabled: expr !== '' && view === 'table' });
  const query = view === 'chart' ? chart : table;
  const faults = useMemo(() => (draft === expr ? faultOf(query.error) : []), [query.error, draft, expr]);
  const complete = (word: string) => {
    const all = [...(names.data ?? []), ...FUNCTIONS];
    const low = word.toLowerCase();
    return [
      ...all.filter((n) => n.toLowerCase().startsWith(low)),
      ...all.filter((n) => !n.toLowerCase().startsWith(low) && n.toLowerCase().includes(low)),
    ];
  };
  const run = (text: string) => {
    setDraft(text);
    setExpr(text.trim());
    if (text.trim() === expr) void query.refetch();
  };
  const count = query.data?.length;
  return (
    <>
      <Headline
        tab="Metrics"
        title={
          expr === ''
            ? 'Metrics'
            : query.isError
              ? 'Invalid query'
              : count === undefined
                ? 'Loading…'
                : count === 0
                  ? 'No data'
                  : plural(count, 'series', 'series')
        }
        lede={
          names.data
            ? `${plural(names.data.length, 'metric')} stored. Query with PromQL; Grafana can use the same API at /prometheus.`
            : 'Query with PromQL.'
        }
      />
      <div className="below" style={{ display: 'grid', gap: 10 }}>
        <div className="row" style={{ alignItems: 'flex-start' }}>
          <div className="grow">
            <Editor
              value={draft}
              change={setDraft}
              label="PromQL query"
              placeholder="rate(node_cpu_seconds_total[1m])"
              faults={faults}
              complete={complete}
              submit={() => run(draft)}
            />
            <Faults faults={faults} />
          </div>
          <Action tone="primary" onClick={() => run(draft)} keys="↵">
            Run
          </Action>
        </div>
        <div className="row wrap between">
          <SegmentedControl
            size="xs"
            aria-label="Show as"
            value={view}
            onChange={setView}
            data={[
              { value: 'chart', label: 'Chart' },
              { value: 'table', label: 'Table' },
            ]}
          />
          {view === 'chart' && <TimeRangePicker otherwise="1h" />}
        </div>
      </div>
      {expr === '' ? (
        <Starters run={run} />
      ) : query.isError && faults.length === 0 ? (
        <div className="card below">
          <Failure error={query.error} retry={() => void query.refetch()} />
        </div>
      ) : query.data === undefined ? (
        !query.isError && (
          <div className="card below">
            <Skeleton rows={4} />
          </div>
        )
      ) : query.data.length === 0 ? (
        <div className="card below">
          <Empty title="No data in this range">
            Check metric names and label values, or use a wider range. Completion offers the stored metrics.
          </Empty>
        </div>
      ) : view === 'chart' ? (
        <MetricChart
          series={query.data}
          unit={unitOf(expr)}
          range={range}
          to={query.dataUpdatedAt / 1000}
          expr={expr}
        />
      ) : (
        <MetricTable series={query.data} unit={unitOf(expr)} />
      )}
    </>
  );
}

function Starters({ run }: { run: (expr: string) => void }) {
  return (
    <div className="below">
      <Card title="Examples" flush>
        {STARTERS.map(([title, expr]) => (
          <button
            type="button"
            key={title}
            className="plain line stacks"
            style={{ width: '100%' }}
            onClick={() => run(expr)}
          >
            <b className="nowrap">{title}</b>
            <span className="mono muted right break">{expr}</span>
          </button>
        ))}
      </Card>
    </div>
  );
}
