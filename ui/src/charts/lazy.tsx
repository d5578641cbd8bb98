/** The chart library loads when the first chart is shown; its place is kept meanwhile. */
import { lazy, Suspense } from 'react';
import type { PlotProps } from './plot';

const Plot = lazy(async () => ({ default: (await import('./plot')).Plot }));

export function LazyPlot(props: PlotProps) {
  return (
    <Suspense fallback={<div style={{ height: props.height ?? 120 }} />}>
      <Plot {...props} />
    </Suspense>
  );
}
