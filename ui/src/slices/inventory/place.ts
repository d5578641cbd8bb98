/**
 * A layered drawing of who calls whom: callers left, called right. Small and deterministic, so that things keep their places when the
 * map is read again. A connection over several layers keeps a lane between the boxes of each, so that no line runs behind a box; those
 * to the same box share their lanes. Order within a layer: mean place of the neighbours, swept to and fro, the order with the fewest crossings stays. Heights: as
 * close to the neighbours as order and distance allow.
 */
import { type Arrow, type Box, layers } from './layout';

export interface Placed {
  id: string;
  x: number;
  y: number;
}

export interface Drawing {
  places: Map<string, Placed>;
  /** An SVG path for each arrow, by `keyOf`. */
  routes: Map<string, string>;
  width: number;
  height: number;
}

export const SIZE = { width: 180, height: 44, gapX: 76, gapY: 14, lane: 10, pad: 8 };
const SWEEPS = 12;
const SETTLES = 16;

export const keyOf = (arrow: Arrow) => `${arrow.from} ${arrow.to}`;

/** A box, or the lane through a layer to one. `y` is its middle. */
interface Slot {
  id: string;
  layer: number;
  half: number;
  y: number;
  left: Slot[];
  right: Slot[];
}

interface Grid {
  columns: Slot[][];
  boxes: Map<string, Slot>;
  /** The slots of each arrow from caller to called. */
  chains: Map<string, Slot[]>;
}

function grid(boxes: Box[], arrows: Arrow[]): Grid {
  const layer = layers(boxes, arrows);
  const columns: Slot[][] = [];
  const slot = (id: string, at: number, half: number): Slot => {
    const made = { id, layer: at, half, y: 0, left: [], right: [] };
    columns[at] ??= [];
    columns[at]?.push(made);
    return made;
  };
  const found = new Map([...layer].map(([id, at]) => [id, slot(id, at, SIZE.height / 2)]));
  const chains = new Map<string, Slot[]>();
  const lanes = new Map<string, Slot>();
  const order = new Map([...found.keys()].map((id, i) => [id, i]));
  const place = (id: string) => order.get(id) ?? 0;
  const sorted = [...arrows].sort((a, b) => place(a.from) - place(b.from) || place(a.to) - place(b.to));
  for (const arrow of sorted) {
    const from = found.get(arrow.from);
    const to = found.get(arrow.to);
    if (!from || !to || from.layer === to.layer || chains.has(keyOf(arrow))) continue;
    const step = Math.sign(to.layer - from.layer);
    const chain = [from];
    for (let at = from.layer + step; at !== to.layer; at += step) {
      const lane = lanes.get(`${to.id} ${at}`) ?? slot(`${to.id} ${at}`, at, 0);
      lanes.set(lane.id, lane);
      chain.push(lane);
    }
    chain.push(to);
    chains.set(keyOf(arrow), chain);
    for (const [i, one] of chain.entries()) {
      const next = chain[i + 1];
      if (!next) continue;
      const [left, right] = step > 0 ? [one, next] : [next, one];
      if (left.right.includes(right)) continue;
      left.right.push(right);
      right.left.push(left);
    }
  }
  return { columns, boxes: found, chains };
}

const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;

function crossings(columns: Slot[][], row: Map<Slot, number>): number {
  let count = 0;
  for (const column of columns) {
    const lines = column.flatMap((a) => a.right.map((b) => [row.get(a) ?? 0, row.get(b) ?? 0] as const));
    for (const [i, [a, b]] of lines.entries()) {
      for (const [c, d] of lines.slice(i + 1)) if ((a - c) * (b - d) < 0) count++;
    }
  }
  return count;
}

function sortColumns({ columns }: Grid) {
  const row = new Map<Slot, number>();
  const number = (column: Slot[]) => {
    for (const [i, slot] of column.entries()) row.set(slot, i);
  };
  columns.forEach(number);
  let best = columns.map((column) => [...column]);
  let fewest = crossings(columns, row);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    const side = sweep % 2 === 0 ? 'left' : 'right';
    for (const column of side === 'left' ? columns : [...columns].reverse()) {
      const wish = new Map(
        column.map((slot, i) => [slot, slot[side].length > 0 ? mean(slot[side].map((n) => row.get(n) ?? 0)) : i]),
      );
      column.sort((a, b) => (wish.get(a) ?? 0) - (wish.get(b) ?? 0) || (row.get(a) ?? 0) - (row.get(b) ?? 0));
      number(column);
    }
    const now = crossings(columns, row);
    if (now < fewest) {
      fewest = now;
      best = columns.map((column) => [...column]);
    }
  }
  for (const [i, column] of best.entries()) columns[i] = column;
}

const apart = (a: Slot, b: Slot) => a.half + b.half + (a.half > 0 && b.half > 0 ? SIZE.gapY : SIZE.lane);

/** The places nearest to the wishes that keep order and distance: neighbours that would collide move together. */
export function spread(wishes: number[], gaps: number[]): number[] {
  const before = [0];
  for (const gap of gaps) before.push((before.at(-1) ?? 0) + gap);
  const blocks: { sum: number; count: number }[] = [];
  for (const [i, wish] of wishes.entries()) {
    blocks.push({ sum: wish - (before[i] ?? 0), count: 1 });
    for (;;) {
      const last = blocks.at(-1);
      const other = blocks.at(-2);
      if (!last || !other || other.sum / other.count <= last.sum / last.count) break;
      blocks.splice(-2, 2, { sum: other.sum + last.sum, count: other.count + last.count });
    }
  }
  const even = blocks.flatMap(({ sum, count }) => Array<number>(count).fill(sum / count));
  return wishes.map((_, i) => (even[i] ?? 0) + (before[i] ?? 0));
}

function settle({ columns }: Grid) {
  const gaps = columns.map((column) => column.slice(1).map((slot, i) => apart(column[i] as Slot, slot)));
  for (const [c, column] of columns.entries()) {
    const ys = spread(
      column.map(() => 0),
      gaps[c] ?? [],
    );
    for (const [i, slot] of column.entries()) slot.y = ys[i] ?? 0;
  }
  for (let turn = 0; turn < SETTLES; turn++) {
    const order = [...columns.entries()];
    for (const [c, column] of turn % 2 === 0 ? order : order.reverse()) {
      const wishes = column.map((slot) => {
        const near = turn < SETTLES - 2 ? slot[turn % 2 === 0 ? 'left' : 'right'] : [...slot.left, ...slot.right];
        return near.length > 0 ? mean(near.map((n) => n.y)) : slot.y;
      });
      const ys = spread(wishes, gaps[c] ?? []);
      for (const [i, slot] of column.entries()) slot.y = ys[i] ?? 0;
    }
  }
  const all = columns.flat();
  const top = Math.min(...all.map((slot) => slot.y - slot.half));
  for (const slot of all) slot.y = Math.round(slot.y - top + SIZE.pad);
}

const leftOf = (slot: Slot) => SIZE.pad + slot.layer * (SIZE.width + SIZE.gapX);

const meeting = (end: Slot, next: Slot) => `${end.id} > ${next.id}`;

/** Where lines meet a box: spread over its side, in the order in which they arrive; those of one lane arrive as one. */
function ports(boxes: Iterable<Slot>): Map<string, number> {
  const out = new Map<string, number>();
  for (const box of boxes) {
    for (const side of [box.left, box.right]) {
      const lines = [...side].sort((a, b) => a.y - b.y || a.id.localeCompare(b.id));
      const step = Math.min(8, (SIZE.height - 14) / Math.max(1, lines.length - 1));
      for (const [i, line] of lines.entries()) out.set(meeting(box, line), box.y + (i - (lines.length - 1) / 2) * step);
    }
  }
  return out;
}

function routes({ boxes, chains }: Grid): Map<string, string> {
  const port = ports(boxes.values());
  const out = new Map<string, string>();
  for (const [key, chain] of chains) {
    const isForward = (chain.at(-1)?.layer ?? 0) > (chain[0]?.layer ?? 0);
    const near = (slot: Slot) => leftOf(slot) + (isForward ? 0 : SIZE.width);
    const far = (slot: Slot) => leftOf(slot) + (isForward ? SIZE.width : 0);
    let path = '';
    let [x, y] = [0, 0];
    for (const [i, slot] of chain.entries()) {
      const isLast = i === chain.length - 1;
      if (i === 0) {
        [x, y] = [far(slot), port.get(meeting(slot, chain[1] as Slot)) ?? slot.y];
        path = `M${x} ${y}`;
        continue;
      }
      const before = chain[i - 1] as Slot;
      const [nextX, nextY] = [near(slot), isLast ? (port.get(meeting(slot, before)) ?? slot.y) : slot.y];
      const half = (x + nextX) / 2;
      path += `C${half} ${y} ${half} ${nextY} ${nextX - (isLast ? (isForward ? 2 : -2) : 0)} ${nextY}`;
      [x, y] = [far(slot), nextY];
      if (!isLast) path += `H${x}`;
    }
    out.set(key, path);
  }
  return out;
}

export function draw(boxes: Box[], arrows: Arrow[]): Drawing {
  const made = grid(boxes, arrows);
  sortColumns(made);
  settle(made);
  const bottom = Math.max(0, ...made.columns.flat().map((slot) => slot.y + slot.half));
  return {
    places: new Map([...made.boxes].map(([id, slot]) => [id, { id, x: leftOf(slot), y: slot.y - slot.half }])),
    routes: routes(made),
    width: made.columns.length * (SIZE.width + SIZE.gapX) - SIZE.gapX + 2 * SIZE.pad,
    height: bottom + SIZE.pad,
  };
}
