/** The measure that broke its bound, from before the fault until now. */
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { began, type IncidentDetail, overAt } from '@/api/incidents';
import { rangeQuery } from '@/api/telemetry';
import { align, colorOf, legend, withGaps } from '@/charts/align';
import { LazyPlot } from '@/charts/lazy';
import { Card } from '@/parts/card';
import { stepFor } from '@/parts/range';
import { span as duration } from '@/parts/time';
import { chartFor } from './measure';

export function IncidentChart({ incident }: { incident: IncidentDetail }) {
  const host = incident.alerts[0]?.labels.instance ?? incident.items.find((i) => i.kind === 'host')?.name;
  const chart = chartFor(incident.alerts[0] ?? null, host);
  const opened = Date.parse(began(incident)) / 1000;
  const over = overAt(incident);
  const until = over ? Date.parse(over) / 1000 : null;
  const span = Math.max(1800, Math.min(86_400, ((until ?? Date.now() / 1000) - opened) * 1.6));
  const to = until ? Math.floor(until + span * 0.15) : null;
  const step = stepFor(span);
  const query = useQuery(rangeQuery(chart?.expr ?? '', Math.ceil(span / 60) * 60, to, step, until ? undefined : 5000));
  const data = useMemo(() => query.data && withGaps(align(query.data.slice(0, 6)), step), [query.data, step]);
  const names = useMemo(() => legend(query.data?.slice(0, 6) ?? []), [query.data]);
  if (!chart || !data || data.times.length === 0) return null;
  const end = to ?? query.dataUpdatedAt / 1000;
  const taken = new Set<string>();
  const acknowledged = incident.acknowledged_at
    ? [{ at: Date.parse(incident.acknowledged_at) / 1000, text: 'acknowledged', color: '--muted' }]
    : [];
  return (
    <Card title={chart.title} aside={[host, `resolution ${duration(step)}`].filter(Boolean).join(' · ')}>
      <LazyPlot
        times={data.times}
        values={data.values}
        lines={names.map((name) => ({
          label: name,
          color: names.length === 1 ? '--critical' : colorOf(name, taken),
          fill: names.length === 1,
        }))}
        unit={chart.unit}
        max={chart.max}
        height={160}
        from={end - span}
        to={end}
        marks={[{ at: opened, text: 'opened', color: '--critical' }, ...acknowledged]}
        bands={[[opened, until ?? end]]}
        label={`${chart.title} around the incident`}
      />
    </Card>
  );
}
