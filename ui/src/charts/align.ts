/** Many series on one time axis, with gaps where samples are missing. */
import type { Series } from '@/api/telemetry';

export interface Aligned {
  times: number[];
  values: (number | null)[][];
}

export function align(series: Series[]): Aligned {
  const all = new Set<number>();
  for (const s of series) for (const [t] of s.points) all.add(t);
  const times = [...all].sort((a, b) => a - b);
  const at = new Map(times.map((t, i) => [t, i]));
  const values = series.map((s) => {
    const row: (number | null)[] = new Array(times.length).fill(null);
    for (const [t, v] of s.points) row[at.get(t) as number] = Number.isFinite(v) ? v : null;
    return row;
  });
  return { times, values };
}

/** Puts a null into holes wider than three steps, so that a gap is drawn as a gap. */
export function withGaps(data: Aligned, step: number): Aligned {
  const times: number[] = [];
  const values: (number | null)[][] = data.values.map(() => []);
  data.times.forEach((t, i) => {
    const before = data.times[i - 1];
    if (before !== undefined && t - before > step * 3) {
      times.push(before + step);
      for (const row of values) row.push(null);
    }
    times.push(t);
    data.values.forEach((row, k) => {
      values[k]?.push(row[i] ?? null);
    });
  });
  return { times, values };
}

/** The colour of a series follows its labels, not its place, so that it stays the same on every page. */
export function colorOf(name: string, taken: Set<string>): string {
  let hash = 0;
  for (const char of name) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  for (let i = 0; i < 10; i++) {
    const color = `--series-${((hash + i) % 10) + 1}`;
    if (!taken.has(color)) {
      taken.add(color);
      return color;
    }
  }
  return `--series-${(hash % 10) + 1}`;
}

/** `{mode="user", cpu="0"}` without the labels that all the series share. */
export function legend(series: Series[]): string[] {
  const names = new Set(series.flatMap((s) => Object.keys(s.labels)));
  const varying = [...names].filter((n) => new Set(series.map((s) => s.labels[n])).size > 1);
  return series.map((s) => {
    const name = s.labels.__name__ ?? '';
    const shown = varying
      .filter((n) => n !== '__name__' && s.labels[n] !== undefined)
      .map((n) => `${n}=${s.labels[n]}`);
    return shown.length > 0 ? shown.join(' ') : name || 'value';
  });
}
