import { describe, expect, it } from 'vitest';
import type { LastSample } from '@/api/telemetry';
import { align, colorOf, legend, withGaps } from './align';
import { advance, expressions, fresh } from './liveHost';
import { ceiling } from './scale';
import { cut, push } from './useHostLive';

const sample = (name: string, t: number, v: number, labels: Record<string, string> = {}): LastSample => ({
  labels: { __name__: name, ...labels },
  t,
  v,
});

describe('live host', () => {
  it('makes shares and rates of raw samples', () => {
    const state = fresh();
    const at = (t: number, idle: number, user: number, rx: number) => [
      sample('node_cpu_seconds_total', t, idle, { cpu: '0', mode: 'idle' }),
      sample('node_cpu_seconds_total', t, user, { cpu: '0', mode: 'user' }),
      sample('node_network_receive_bytes_total', t, rx, { device: 'eth0' }),
      sample('node_network_receive_bytes_total', t, rx * 9, { device: 'lo' }),
    ];
    expect(advance(state, at(1000, 10, 5, 100))).toEqual({});
    const second = advance(state, at(2000, 10.75, 5.25, 1100));
    expect(second.cpu).toBeCloseTo(0.25);
    expect(second.rx).toBeCloseTo(8000);
  });

  it('tells nothing after a reset or a gap', () => {
    const state = fresh();
    advance(state, [sample('node_disk_io_time_seconds_total', 0, 50, { device: 'sda' })]);
    expect(advance(state, [sample('node_disk_io_time_seconds_total', 1000, 1, { device: 'sda' })])).toEqual({});
    expect(advance(state, [sample('node_disk_io_time_seconds_total', 60_000, 2, { device: 'sda' })])).toEqual({});
    expect(
      advance(state, [sample('node_disk_io_time_seconds_total', 61_000, 2.5, { device: 'sda' })]).busy,
    ).toBeCloseTo(0.5);
  });

  it('joins memory figures that come apart', () => {
    const state = fresh();
    advance(state, [sample('node_memory_MemTotal_bytes', 0, 100)]);
    expect(advance(state, [sample('node_memory_MemAvailable_bytes', 1000, 40)]).memory).toBeCloseTo(0.6);
  });

  it('draws a hole as a gap and forgets what is old', () => {
    const track = { times: [], values: [] };
    for (const t of [1, 2, 3, 20]) push(track, t, t, 1);
    push(track, 19, 0, 1);
    expect(track).toEqual({ times: [1, 2, 3, 4, 20], values: [1, 2, 3, null, 20] });
    expect(cut(track, 4).times).toEqual([4, 20]);
  });
});

describe('align', () => {
  const a = {
    labels: { __name__: 'm', instance: 'a', job: 'x' },
    points: [
      [1, 1],
      [2, 2],
    ] as [number, number][],
  };
  const b = {
    labels: { __name__: 'm', instance: 'b', job: 'x' },
    points: [
      [2, Number.NaN],
      [30, 5],
    ] as [number, number][],
  };
  it('puts series on one axis', () => {
    expect(align([a, b])).toEqual({
      times: [1, 2, 30],
      values: [
        [1, 2, null],
        [null, null, 5],
      ],
    });
  });
  it('opens gaps', () => {
    expect(withGaps(align([b]), 1).times).toEqual([2, 3, 30]);
  });
  it('names series by what tells them apart', () => {
    expect(legend([a, b])).toEqual(['instance=a', 'instance=b']);
    expect(legend([a])).toEqual(['m']);
  });
  it('keeps the colour of a series', () => {
    expect(colorOf('web-01', new Set())).toBe(colorOf('web-01', new Set()));
    const taken = new Set<string>();
    expect(new Set(Array.from({ length: 10 }, (_, i) => colorOf(String(i), taken))).size).toBe(10);
  });
});

describe('scale', () => {
  it('ends at a round number above what is drawn', () => {
    expect(ceiling(1.6, 'plain')).toBe(2);
    expect(ceiling(2, 'plain')).toBe(3);
    expect(ceiling(73e6, 'bits')).toBe(80e6);
    expect(ceiling(0.31, 'percent')).toBeCloseTo(0.4);
    expect(ceiling(7 * 1024 ** 3, 'bytes')).toBe(8 * 1024 ** 3);
    expect(ceiling(0, 'plain')).toBe(1);
    expect(ceiling(Number.NaN, 'plain')).toBe(1);
    for (const high of [0.003, 1, 9.9, 10, 99, 1023, 5e9]) expect(ceiling(high, 'bytes')).toBeGreaterThan(high);
  });
});

describe('the figures of a host from the store', () => {
  it('come from samples of their window alone: a host that is gone does not go on for five minutes', () => {
    const bare = Object.entries(expressions('web-1', 5)).filter(
      ([, expr]) => (expr.match(/node_\w+\{/g) ?? []).length !== (expr.match(/\}\[\d+s\]/g) ?? []).length,
    );
    expect(bare).toEqual([]);
  });
});
