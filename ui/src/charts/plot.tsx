/** uPlot in our look: hairlines, one accent, gaps as gaps, a shared crosshair, drag to zoom. */
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { format, type Unit } from '@/parts/number';
import { axisEnds, clock, day } from '@/parts/time';
import { ceiling } from './scale';

export interface Line {
  label: string;
  /** A token name: `--accent`, `--series-2`. */
  color: string;
  fill?: boolean;
}

export interface Mark {
  /** Unix seconds. */
  at: number;
  text: string;
  color?: string;
}

export interface PlotProps {
  /** Unix seconds. */
  times: number[];
  values: (number | null)[][];
  lines: Line[];
  unit: Unit;
  height?: number;
  /** The top of the scale: 1 for shares. */
  max?: number;
  from?: number;
  to?: number;
  marks?: Mark[];
  /** Ranges to tint, in Unix seconds. */
  bands?: [number, number][];
  /** What the chart shows, for those who cannot see it. */
  label: string;
  zoom?: (from: number, to: number) => void;
  /** Words at the two ends of the time axis instead of clock times: `5 min`, `now`. */
  ends?: [string, string];
}

const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const sync = uPlot.sync('page');

function options(p: PlotProps, width: number): uPlot.Options {
  const axis = { stroke: token('--faint'), font: `11px ${token('--font')}`, ticks: { show: false } };
  return {
    width,
    height: p.height ?? 120,
    padding: [8, 16, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: sync.key },
      drag: { x: Boolean(p.zoom), y: false, setScale: false },
      points: { size: 6 },
    },
    scales: {
      x: { time: true, range: p.from && p.to ? () => [p.from as number, p.to as number] : undefined },
      y: { range: (_u, low, high) => [Math.min(0, low ?? 0), p.max ?? ceiling(high, p.unit)] },
    },
    axes: [
      {
        ...axis,
        size: 22,
        space: 90,
        grid: { show: false },
        // The two ends are written by hand, so that they are always there; what lies close to them is left out.
        filter: (u, ticks) => ticks.map((t) => (isFree(u, t) && !p.ends ? t : null)),
        values: (u, ticks) =>
          ticks.map((t) => (t === null ? '' : timeLabel(t, (u.scales.x?.max ?? 0) - (u.scales.x?.min ?? 0)))),
      },
      {
        ...axis,
        size: (_u, values) => 12 + 6.2 * Math.max(3, ...(values ?? []).map((v) => v.length)),
        space: 34,
        gap: 6,
        grid: { stroke: token('--line'), width: 1 },
        splits:
          (p.height ?? 120) < 160
            ? (_u, _axis, low, high) => (low < 0 ? [low, 0, high] : [0, high / 2, high])
            : undefined,
        values: (_u, ticks) => ticks.map((t) => format(t, p.unit)),
      },
    ],
    series: [
      {},
      ...p.lines.map((line) => ({
        label: line.label,
        stroke: token(line.color),
        width: 1.6,
        fill: line.fill ? `${token(line.color)}14` : undefined,
        points: { show: false },
        spanGaps: false,
      })),
    ],
    hooks: {
      drawClear: [
        (u) => {
          u.ctx.save();
          u.ctx.fillStyle = token('--critical-soft');
          for (const [a, b] of p.bands ?? []) {
            const left = Math.max(u.bbox.left, u.valToPos(a, 'x', true));
            const right = Math.min(u.bbox.left + u.bbox.width, u.valToPos(b, 'x', true));
            if (right > left) u.ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
          }
          u.ctx.restore();
        },
      ],
      draw: [(u) => drawMarks(u, p.marks ?? []), (u) => drawEnds(u, p.ends)],
      setSelect: [
        (u) => {
          if (u.select.width > 4)
            p.zoom?.(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'));
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

function drawMarks(u: uPlot, marks: Mark[]) {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `550 ${11 * ratio}px ${token('--font')}`;
  marks.forEach((mark, i) => {
    const x = u.valToPos(mark.at, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.strokeStyle = ctx.fillStyle = token(mark.color ?? '--muted');
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    // On a narrow chart the words would run into each other; the lines still stand.
    if (bbox.width < 420 * ratio && i > 0) return;
    ctx.textAlign = x - bbox.left > 90 * ratio ? 'right' : 'left';
    ctx.fillText(mark.text, x + (ctx.textAlign === 'right' ? -5 : 5) * ratio, bbox.top + (10 + 14 * (i % 3)) * ratio);
  });
  ctx.restore();
}

/** Room for the labels of the ends, in CSS pixels: their letters, and half a label more for the neighbour. */
function isFree(u: uPlot, t: number): boolean {
  const { min, max } = u.scales.x ?? {};
  const room = 34 + 6.2 * (axisEnds(min ?? 0, max ?? 0)[0].length + 2);
  const x = u.valToPos(t, 'x');
  return x > room && x < u.bbox.width / devicePixelRatio - room;
}

/** Both ends of the time axis, with their dates where one of them is not of today. */
function drawEnds(u: uPlot, words: [string, string] | undefined) {
  const { min, max } = u.scales.x ?? {};
  if (min === undefined || max === undefined || min === null || max === null) return;
  const [left, right] = words ?? axisEnds(min, max);
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * ratio}px ${token('--font')}`;
  ctx.fillStyle = token('--faint');
  ctx.textBaseline = 'top';
  const y = bbox.top + bbox.height + 5 * ratio;
  ctx.textAlign = 'left';
  ctx.fillText(left, bbox.left, y);
  ctx.textAlign = 'right';
  ctx.fillText(right, bbox.left + bbox.width, y);
  ctx.restore();
}

function timeLabel(t: number, span: number): string {
  return span > 2 * 86_400 ? day(t * 1000) : clock(t * 1000, span < 600 && t % 60 !== 0);
}

export function Plot(props: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const current = useRef(props);
  current.current = props;
  const shape = JSON.stringify([props.lines, props.unit, props.max, props.height, Boolean(props.zoom)]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape covers what the options are made of; the rest is read when drawn
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const make = () => {
      plot.current?.destroy();
      const live = new Proxy({} as PlotProps, { get: (_t, key) => current.current[key as keyof PlotProps] });
      plot.current = new uPlot(
        options(live, element.clientWidth),
        [current.current.times, ...current.current.values] as uPlot.AlignedData,
        element,
      );
    };
    make();
    const resize = new ResizeObserver(() => {
      if (plot.current && element.clientWidth > 0 && element.clientWidth !== plot.current.width) {
        plot.current.setSize({ width: element.clientWidth, height: plot.current.height });
      }
    });
    resize.observe(element);
    const themed = new MutationObserver(make);
    themed.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      resize.disconnect();
      themed.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the ends of the axis are read when it is drawn
  useEffect(() => {
    plot.current?.setData([props.times, ...props.values] as uPlot.AlignedData);
  }, [props.times, props.values, props.from, props.to]);

  return <div ref={box} role="img" aria-label={props.label} style={{ minHeight: props.height ?? 120, minWidth: 0 }} />;
}
