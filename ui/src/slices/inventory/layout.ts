/** What the map is made of: layers by longest path (cycles are cut where they are met), who suffers, and groups of one name. */
export interface Box {
  id: string;
  /** Sorts where nothing else does. */
  name: string;
}

export interface Arrow {
  from: string;
  to: string;
}

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
