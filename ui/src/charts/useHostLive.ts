/** The charts of one host: history from the store, then each second from the live feed. */
import { useEffect, useRef, useState } from 'react';
import { liveSamples, range, type Series } from '@/api/telemetry';
import { advance, expressions, fresh, type Gauge, selectors } from './liveHost';

export interface Track {
  times: number[];
  values: (number | null)[];
}

export type Tracks = Record<Gauge, Track>;

const GAUGES: Gauge[] = ['cpu', 'memory', 'disk', 'busy', 'rx', 'tx', 'load'];
const blank = (): Tracks => Object.fromEntries(GAUGES.map((g) => [g, { times: [], values: [] }])) as unknown as Tracks;

function fromSeries(series: Series[], step: number): Track {
  const track: Track = { times: [], values: [] };
  for (const [t, v] of series[0]?.points ?? []) push(track, t, v, step);
  return track;
}

/** Adds a point; a hole wider than three steps becomes a gap. */
export function push(track: Track, t: number, v: number, step: number) {
  const last = track.times.at(-1);
  if (last !== undefined && t <= last) return;
  if (last !== undefined && t - last > step * 3 + 2) {
    track.times.push(last + step);
    track.values.push(null);
  }
  track.times.push(t);
  track.values.push(Number.isFinite(v) ? v : null);
}

export function cut(track: Track, from: number): Track {
  const first = track.times.findIndex((t) => t >= from);
  return first <= 0
    ? { times: [...track.times], values: [...track.values] }
    : { times: track.times.slice(first), values: track.values.slice(first) };
}

export interface HostLive {
  tracks: Tracks;
  to: number;
  live: boolean;
  error: unknown;
}

export function useHostLive(host: string, span: number, step: number): HostLive {
  const store = useRef<Tracks>(blank());
  const [view, setView] = useState<HostLive>({ tracks: blank(), to: Date.now() / 1000, live: false, error: null });
  const isLive = step === 1;

  useEffect(() => {
    const stop = new AbortController();
    let live = false;
    let error: unknown = null;
    store.current = blank();
    const show = () => {
      const to = Date.now() / 1000;
      const tracks = Object.fromEntries(GAUGES.map((g) => [g, cut(store.current[g], to - span)])) as unknown as Tracks;
      store.current = tracks;
      setView({ tracks, to, live, error });
    };
    const read = async () => {
      const to = Math.floor(Date.now() / 1000);
      const wanted = expressions(host, step);
      await Promise.all(
        GAUGES.map(async (gauge) => {
          try {
            const track = fromSeries(await range(wanted[gauge], to - span, to, step, stop.signal), step);
            const newer = store.current[gauge];
            const end = track.times.at(-1) ?? 0;
            newer.times.forEach((t, i) => {
              const v = newer.values[i];
              if (t > end && v !== null && v !== undefined) push(track, t, v, step);
            });
            store.current[gauge] = track;
          } catch (caught) {
            if (!stop.signal.aborted) error = caught;
          }
        }),
      );
      if (!stop.signal.aborted) show();
    };
    void read();
    const again = window.setInterval(() => void read(), isLive ? 60_000 : Math.max(5000, step * 1000));
    if (!isLive) {
      return () => {
        stop.abort();
        window.clearInterval(again);
      };
    }
    const state = fresh();
    const end = liveSamples(
      selectors(host),
      (samples) => {
        const t = Math.max(...samples.map((s) => s.t)) / 1000;
        const point = advance(state, samples);
        for (const [gauge, value] of Object.entries(point)) push(store.current[gauge as Gauge], t, value, step);
        if (!document.hidden) show();
      },
      (now) => {
        live = now;
        show();
      },
    );
    return () => {
      stop.abort();
      end();
      window.clearInterval(again);
    };
  }, [host, span, step, isLive]);
  return view;
}
