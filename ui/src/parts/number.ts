/** Numbers with their unit. */

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P'];

function scaled(value: number, base: number, units: string[], suffix = ''): string {
  if (!Number.isFinite(value)) return '–';
  let i = 0;
  let n = Math.abs(value);
  while (n >= base && i < units.length - 1) {
    n /= base;
    i++;
  }
  const digits = i === 0 && Number.isInteger(value) ? 0 : n < 10 ? 1 : 0;
  return `${value < 0 ? '−' : ''}${n.toFixed(digits)} ${units[i]}${suffix}`.trim();
}

export const bytes = (value: number) => scaled(value, 1024, BINARY);
export const bits = (value: number) => scaled(value, 1000, DECIMAL, 'bit/s');
export const percent = (ratio: number, digits = 0) =>
  Number.isFinite(ratio) ? `${(ratio * 100).toFixed(digits)} %` : '–';

export function seconds(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value < 0.001) return `${(value * 1e6).toFixed(0)} µs`;
  return value < 1 ? `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} ms` : `${value.toFixed(value < 10 ? 1 : 0)} s`;
}

/** Plain numbers: thin thousands, at most three digits behind the point. */
export function plain(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1e6) return scaled(value, 1000, DECIMAL);
  if (Number.isInteger(value)) return value.toLocaleString('en');
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}

export type Unit = 'percent' | 'bytes' | 'bits' | 'seconds' | 'plain';
export function format(value: number | null | undefined, unit: Unit): string {
  if (value === null || value === undefined) return '–';
  return { percent: (v: number) => percent(v), bytes, bits, seconds, plain }[unit](value);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** Cut in the middle, so that both ends can be read. */
export function middle(text: string, max = 40): string {
  if (text.length <= max) return text;
  const half = Math.floor((max - 1) / 2);
  return `${text.slice(0, half)}…${text.slice(-half)}`;
}
