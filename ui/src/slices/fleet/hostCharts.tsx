/** Six charts of the host's load, live at one second. */
import { LazyPlot } from '@/charts/lazy';
import type { Gauge } from '@/charts/liveHost';
import { useHostLive } from '@/charts/useHostLive';
import { Card } from '@/parts/card';
import { diskPercent } from '@/parts/disk';
import { format, type Unit } from '@/parts/number';
import { type Range, SPANS } from '@/parts/range';
import { StatusBadge } from '@/parts/status';
import { clock } from '@/parts/time';

interface Tile {
  gauge: Gauge;
  title: string;
  unit: Unit;
  max?: number;
  /** Above these the line takes the colour of the status. */
  warning?: number;
  critical?: number;
}

const TILES: Tile[] = [
  { gauge: 'cpu', title: 'CPU', unit: 'percent', max: 1, warning: 0.9, critical: 0.98 },
  { gauge: 'memory', title: 'Memory', unit: 'percent', max: 1, warning: 0.9, critical: 0.97 },
  { gauge: 'disk', title: 'Disk usage (highest)', unit: 'percent', max: 1, warning: 0.85, critical: 0.95 },
  { gauge: 'busy', title: 'Disk I/O utilization', unit: 'percent', max: 1, warning: 0.9 },
  { gauge: 'rx', title: 'Network in', unit: 'bits' },
  { gauge: 'load', title: 'Load, 1 min', unit: 'plain' },
];

function color(tile: Tile, value: number | null | undefined): string {
  if (value === null || value === undefined) return '--accent';
  if (tile.critical !== undefined && value >= tile.critical) return '--critical';
  if (tile.warning !== undefined && value >= tile.warning) return '--warning';
  return '--accent';
}

const shown = (tile: Tile, value: number | null | undefined) =>
  tile.gauge === 'disk' ? diskPercent(value) : format(value, tile.unit);

export function HostCharts({ host, range }: { host: string; range: Range }) {
  const span = range.name === '5m' ? (SPANS['5m'] as number) : range.span;
  const { tracks, to, live, error } = useHostLive(host, span, range.step);
  return (
    <>
      <div className="cols three" data-live={live}>
        {TILES.map((tile) => {
          const track = tracks[tile.gauge];
          const end = track.times.at(-1);
          // What a host said last is not what it does now.
          const isOld = end !== undefined && to - end > Math.max(45, range.step * 5);
          const last = isOld ? null : track.values.at(-1);
          return (
            <Card
              key={tile.gauge}
              title={tile.title}
              aside={
                <span className={isOld ? 'faint' : 'text'}>
                  {end === undefined ? 'no data' : isOld ? `no data since ${clock(end * 1000)}` : shown(tile, last)}
                </span>
              }
            >
              <LazyPlot
                times={track.times}
                values={[track.values]}
                lines={[{ label: tile.title, color: color(tile, last), fill: true }]}
                unit={tile.unit}
                max={tile.max}
                height={112}
                ends={range.step === 1 ? ['5 min ago', 'now'] : undefined}
                from={to - span}
                to={to}
                label={`${tile.title} of ${host}, now ${shown(tile, last)}`}
              />
            </Card>
          );
        })}
      </div>
      {range.step === 1 && !live && (
        <p className="muted" style={{ marginTop: 8 }}>
          <StatusBadge status="unknown">
            {error ? 'History cannot be read; showing live samples only' : 'Waiting for live samples'}
          </StatusBadge>
        </p>
      )}
    </>
  );
}
