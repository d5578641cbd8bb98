/** The page's time range, kept in the address. */
import { SegmentedControl } from '@mantine/core';
import { useParam } from './url';

export const SPANS: Record<string, number> = {
  '5m': 300,
  '30m': 1800,
  '1h': 3600,
  '6h': 21_600,
  '24h': 86_400,
  '7d': 604_800,
};

export interface Range {
  name: string;
  span: number;
  step: number;
}

/** At most 600 points, at least the 1 s that agents send. */
export function stepFor(span: number): number {
  const raw = span / 600;
  for (const step of [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600]) if (raw <= step) return step;
  return 7200;
}

export function useRange(otherwise = '30m'): Range {
  const [name] = useParam('range', otherwise);
  const span = SPANS[name] ?? (SPANS[otherwise] as number);
  return { name, span, step: stepFor(span) };
}

export function TimeRangePicker({ otherwise = '30m' }: { otherwise?: string }) {
  const [name, set] = useParam('range', otherwise);
  return (
    <SegmentedControl
      size="xs"
      aria-label="Time range"
      value={name}
      onChange={set}
      data={Object.keys(SPANS).map((key) => ({
        value: key,
        label: key.replace('m', ' min').replace('h', ' h').replace('d', ' d'),
      }))}
    />
  );
}
