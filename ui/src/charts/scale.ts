/** Where a scale ends: a round number above what is drawn, so that its top and its middle can be named. */
import type { Unit } from '@/parts/number';

const ROUND = [1, 2, 3, 4, 5, 6, 8, 10];

export function ceiling(highest: number, unit: Unit): number {
  if (!Number.isFinite(highest) || highest <= 0) return 1;
  // Bytes are round within their own unit: 8 GiB, not 8 billion.
  const base = unit === 'bytes' ? 1024 ** Math.max(0, Math.floor(Math.log(highest) / Math.log(1024))) : 1;
  const within = highest / base;
  const power = 10 ** Math.floor(Math.log10(within));
  const round = ROUND.find((n) => n * power >= within * 1.02) ?? 20;
  return round * power * base;
}
