import { describe, expect, it } from 'vitest';
import { draw, keyOf, SIZE, spread } from './place';

type Point = [number, number];

/** Points along a path of `M`, `C` and `H`. */
function walk(path: string): Point[] {
  const out: Point[] = [];
  let at: Point = [0, 0];
  for (const [, verb, rest] of path.matchAll(/([MCH])([^MCH]*)/g)) {
    const n = (rest ?? '').trim().split(/[ ,]+/).map(Number) as number[];
    if (verb === 'M') at = [n[0] as number, n[1] as number];
    for (let step = 1; verb !== 'M' && step <= 24; step++) {
      const t = step / 24;
      const [a, b, c] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t)];
      const bend = (i: 0 | 1) => a * at[i] + b * (n[i] ?? 0) + c * (n[2 + i] ?? 0) + t ** 3 * (n[4 + i] ?? 0);
      out.push(verb === 'C' ? [bend(0), bend(1)] : [at[0] + t * ((n[0] as number) - at[0]), at[1]]);
    }
    if (verb !== 'M') at = out.at(-1) as Point;
  }
  return out;
}

const boxes = [...'abcdefghijkl'].map((id) => ({ id, name: id }));
const arrow = ([from, to]: string) => ({ from: from as string, to: to as string });
// Long ways over several layers, a cycle, and many that call one.
const arrows = [
  'ab',
  'bc',
  'cd',
  'ad',
  'ac',
  'ed',
  'fd',
  'gd',
  'fa',
  'gb',
  'dh',
  'ah',
  'ei',
  'ij',
  'ja',
  'hb',
  'kl',
].map(arrow);

describe('the map', () => {
  const drawing = draw(boxes, arrows);
  it('draws every connection', () => {
    expect([...drawing.routes.keys()].sort()).toEqual(arrows.map(keyOf).sort());
  });
  it('runs no line behind a box', () => {
    for (const a of arrows) {
      for (const [x, y] of walk(drawing.routes.get(keyOf(a)) ?? '')) {
        for (const place of drawing.places.values()) {
          if (place.id === a.from || place.id === a.to) continue;
          const isIn = x > place.x && x < place.x + SIZE.width && y > place.y && y < place.y + SIZE.height;
          expect(isIn, `${keyOf(a)} behind ${place.id}`).toBe(false);
        }
      }
    }
  });
  it('keeps everything within the drawing, and boxes apart', () => {
    const all = [...drawing.places.values()];
    for (const [i, a] of all.entries()) {
      expect(a.x >= 0 && a.x + SIZE.width <= drawing.width && a.y >= 0 && a.y + SIZE.height <= drawing.height).toBe(
        true,
      );
      for (const b of all.slice(i + 1)) {
        expect(a.x !== b.x || Math.abs(a.y - b.y) >= SIZE.height + SIZE.gapY - 1, `${a.id} and ${b.id}`).toBe(true);
      }
    }
    for (const path of drawing.routes.values()) {
      for (const [x, y] of walk(path)) expect(x >= 0 && x <= drawing.width && y >= 0 && y <= drawing.height).toBe(true);
    }
  });
  it('gives what collides the places nearest to its wishes', () => {
    expect(spread([0, 50, 100], [10, 10])).toEqual([0, 50, 100]);
    expect(spread([10, 10, 10], [10, 10])).toEqual([0, 10, 20]);
    expect(spread([30, 0], [10])).toEqual([10, 20]);
  });
});
