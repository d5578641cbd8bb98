/**
 * A layered drawing of who calls whom: callers left, called right. Small and deterministic, so that things keep their places when
 * the map is read again. Layers by longest path (cycles are cut where they are met), order within a layer by the mean place of the
 * neighbours, swept a few times.
 */
export interface Box {
  id: string;
  /** Sorts where nothing else does. */
  name: string;
}

export interface Arrow {
  from: string;
  to: string;
}

export interface Placed {
  id: string;
  x: number;
  y: number;
}

export interface Drawing {
  places: Map<string, Placed>;
  width: number;
  height: number;
}

export const SIZE = { width: 180, height: 44, gapX: 72, gapY: 14, pad: 8 };
const SWEEPS = 8;

export function layers(boxes: Box[], arrows: Arrow[]): Map<string, number> {
  const out = new Map<string, string[]>();
  for (const { from, to } of arrows) if (from !== to) out.set(from, [...(out.get(from) ?? []), to]);
  const depth = new Map<string, number>();
  const open = new Set<string>();
  // The height above the deepest thing called; what is met again while it is open closes a cycle and does not count.
  const height = (id: string): number => {
    const known = depth.get(id);
    if (known !== undefined) return known;
    if (open.has(id)) return -1;
    open.add(id);
    const below = Math.max(-1, ...(out.get(id) ?? []).map(height));
    open.delete(id);
    depth.set(id, below + 1);
    return below + 1;
  };
  const sorted = [...boxes].sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id));
  for (const box of sorted) height(box.id);
  const most = Math.max(0, ...depth.values());
  return new Map(sorted.map((box) => [box.id, most - (depth.get(box.id) ?? 0)]));
}

export function draw(boxes: Box[], arrows: Arrow[]): Drawing {
  const layer = layers(boxes, arrows);
  const columns: string[][] = [];
  for (const [id, l] of layer) {
    columns[l] ??= [];
    columns[l]?.push(id);
  }
  const near = new Map<string, string[]>();
  for (const { from, to } of arrows) {
    near.set(from, [...(near.get(from) ?? []), to]);
    near.set(to, [...(near.get(to) ?? []), from]);
  }
  const row = new Map<string, number>();
  for (const column of columns) for (const [i, id] of (column ?? []).entries()) row.set(id, i);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const order = sweep % 2 === 0 ? columns : [...columns].reverse();
    for (const column of order) {
      if (!column) continue;
      const mean = new Map(
        column.map((id) => {
          const rows = (near.get(id) ?? []).map(
            (n) => (row.get(n) ?? 0) / Math.max(1, (columns[layer.get(n) ?? 0]?.length ?? 1) - 1 || 1),
          );
          return [id, rows.length > 0 ? rows.reduce((a, b) => a + b, 0) / rows.length : 0.5];
        }),
      );
      const before = new Map(column.map((id, i) => [id, i]));
      column.sort((a, b) => (mean.get(a) ?? 0) - (mean.get(b) ?? 0) || (before.get(a) ?? 0) - (before.get(b) ?? 0));
      for (const [i, id] of column.entries()) row.set(id, i);
    }
  }
  const tallest = Math.max(1, ...columns.map((c) => c?.length ?? 0));
  const pitch = SIZE.height + SIZE.gapY;
  const places = new Map<string, Placed>();
  columns.forEach((column, x) => {
    const top = ((tallest - column.length) * pitch) / 2;
    column.forEach((id, y) => {
      places.set(id, { id, x: SIZE.pad + x * (SIZE.width + SIZE.gapX), y: SIZE.pad + top + y * pitch });
    });
  });
  return {
    places,
    width: columns.length * (SIZE.width + SIZE.gapX) - SIZE.gapX + 2 * SIZE.pad,
    height: tallest * pitch - SIZE.gapY + 2 * SIZE.pad,
  };
}

/** What is reached from `start` against the arrows: who suffers when it dies. */
export function upstream(start: string, arrows: Arrow[]): Set<string> {
  const seen = new Set<string>([start]);
  const queue = [start];
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    for (const { from, to } of arrows) {
      if (to === id && !seen.has(from)) {
        seen.add(from);
        queue.push(from);
      }
    }
  }
  return seen;
}

export interface Group extends Box {
  members: string[];
}

/** Services of the same name on several hosts as one box. */
export function group<T extends { id: string; name: string }>(nodes: T[]): Group[] {
  const byName = new Map<string, Group>();
  for (const node of nodes) {
    const known = byName.get(node.name);
    if (known) known.members.push(node.id);
    else byName.set(node.name, { id: `group:${node.name}`, name: node.name, members: [node.id] });
  }
  return [...byName.values()];
}
