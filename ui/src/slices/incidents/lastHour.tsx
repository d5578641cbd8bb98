/** The last hour of the whole fleet, with its incidents marked. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import type { Incident } from '@/api/incidents';
import { rangeQuery } from '@/api/telemetry';
import { align, withGaps } from '@/charts/align';
import { LazyPlot } from '@/charts/lazy';
import { Card } from '@/parts/card';
import { format } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';

const BUSY = 'avg(1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))';
const SPAN = 3600;
const STEP = 15;

export function LastHour({ incidents }: { incidents: Incident[] }) {
  const query = useQuery(rangeQuery(BUSY, SPAN, null, STEP, 15_000));
  const data = useMemo(() => query.data && withGaps(align(query.data.slice(0, 1)), STEP), [query.data]);
  const last = data?.values[0]?.at(-1) ?? null;
  // The chart ends when it was read, not with its last sample: where samples are missing, that shows.
  const to = query.dataUpdatedAt / 1000;
  return (
    <Card title="Fleet CPU, last hour" aside="average of all hosts" flush={!data?.times.length}>
      <Shown
        query={query}
        what="The chart"
        empty={{
          when: () => !data?.times.length,
          show: <Empty title="No samples yet">The first appear within seconds of an agent joining.</Empty>,
        }}
      >
        {() =>
          data && (
            <LazyPlot
              times={data.times}
              values={data.values}
              lines={[{ label: 'CPU', color: '--accent', fill: true }]}
              unit="percent"
              max={1}
              height={130}
              from={to - SPAN}
              to={to}
              marks={incidents.slice(0, 3).map((i) => ({
                at: Date.parse(i.opened_at) / 1000,
                text: i.title.length > 30 ? `${i.title.slice(0, 29)}…` : i.title,
                color: '--critical',
              }))}
              label={`CPU utilization of the fleet over the last hour, now ${format(last, 'percent')}`}
            />
          )
        }
      </Shown>
    </Card>
  );
}
