/** The answer as lines: ten at most drawn by default, each named with its newest value. */
import { useMemo, useState } from 'react';
import type { Series } from '@/api/telemetry';
import { align, colorOf, legend, withGaps } from '@/charts/align';
import { LazyPlot } from '@/charts/lazy';
import { Card } from '@/parts/card';
import { format, type Unit } from '@/parts/number';
import type { Range } from '@/parts/range';
import { span } from '@/parts/time';

const MOST = 10;

export function MetricChart({
  series,
  unit,
  range,
  to,
  expr,
}: {
  series: Series[];
  unit: Unit;
  range: Range;
  /** When it was read, in Unix seconds: the chart ends there, with or without samples. */
  to: number;
  expr: string;
}) {
  const [hidden, setHidden] = useState<Set<string>>(new Set());
  const [all, setAll] = useState(false);
  const drawn = useMemo(() => {
    const names = legend(series);
    const peak = (s: Series) => Math.max(...s.points.map(([, v]) => (Number.isFinite(v) ? v : 0)), 0);
    const ranked = series.map((s, i) => ({ s, name: names[i] ?? '', peak: peak(s) })).sort((a, b) => b.peak - a.peak);
    return ranked.slice(0, all ? 50 : MOST);
  }, [series, all]);
  const shown = drawn.filter((d) => !hidden.has(d.name));
  const colors = useMemo(() => {
    const taken = new Set<string>();
    return new Map(drawn.map((d) => [d.name, drawn.length === 1 ? '--accent' : colorOf(d.name, taken)]));
  }, [drawn]);
  const data = useMemo(() => withGaps(align(shown.map((d) => d.s)), range.step), [shown, range.step]);
  const toggle = (name: string) => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    setHidden(next);
  };
  return (
    <div className="below">
      <Card
        title={
          unit === 'plain'
            ? 'Value'
            : { percent: 'Percent', bytes: 'Bytes', bits: 'Bits per second', seconds: 'Time' }[unit]
        }
        aside={`resolution ${span(range.step)}`}
      >
        <LazyPlot
          times={data.times}
          values={data.values}
          lines={shown.map((d) => ({
            label: d.name,
            color: colors.get(d.name) ?? '--accent',
            fill: shown.length === 1,
          }))}
          unit={unit}
          height={300}
          from={to - range.span}
          to={to}
          label={`Chart of ${expr}: ${drawn.length} lines`}
        />
        <div className="legend" style={{ marginTop: 10 }}>
          {drawn.map((d) => (
            <button
              type="button"
              className="plain"
              key={d.name}
              aria-pressed={!hidden.has(d.name)}
              onClick={() => toggle(d.name)}
            >
              <i style={{ background: `var(${colors.get(d.name)})` }} />
              <span className="mono cut">{d.name}</span>
              <span className="num">{format(d.s.points.at(-1)?.[1], unit)}</span>
            </button>
          ))}
        </div>
        {series.length > drawn.length && (
          <button type="button" className="plain link" style={{ marginTop: 8 }} onClick={() => setAll(true)}>
            Top {MOST} of {series.length} series shown; show up to 50
          </button>
        )}
      </Card>
    </div>
  );
}
