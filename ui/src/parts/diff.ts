/** What differs between two texts, line by line: the longest common run of lines stays, the rest was taken out or put in. */
export interface DiffLine {
  kind: 'same' | 'out' | 'in';
  text: string;
}

/** Above this many pairs of lines the middle is shown as replaced as a whole. */
const MOST = 4_000_000;

export function diff(before: string, after: string): DiffLine[] {
  const a = before.split('\n');
  const b = after.split('\n');
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const same = (lines: string[]): DiffLine[] => lines.map((text) => ({ kind: 'same', text }));
  return [
    ...same(a.slice(0, head)),
    ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...same(a.slice(a.length - tail)),
  ];
}

function middle(a: string[], b: string[]): DiffLine[] {
  const all = (lines: string[], kind: DiffLine['kind']): DiffLine[] => lines.map((text) => ({ kind, text }));
  if (a.length * b.length > MOST) return [...all(a, 'out'), ...all(b, 'in')];
  // common[i][j]: how many lines a[i..] and b[j..] have in common, in order.
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  const at = (i: number, j: number) => common[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      (common[i] as Uint32Array)[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      lines.push({ kind: 'same', text: a[i] as string });
      i++;
      j++;
    } else if (at(i + 1, j) >= at(i, j + 1)) lines.push({ kind: 'out', text: a[i++] as string });
    else lines.push({ kind: 'in', text: b[j++] as string });
  }
  return [...lines, ...all(a.slice(i), 'out'), ...all(b.slice(j), 'in')];
}

/** Changed lines with `around` lines of what stays beside them; null where lines are left out. */
export function excerpt(lines: DiffLine[], around = 3): (DiffLine | null)[] {
  const kept = lines.map((_, i) =>
    lines.slice(Math.max(0, i - around), i + around + 1).some((line) => line.kind !== 'same'),
  );
  const shown: (DiffLine | null)[] = [];
  lines.forEach((line, i) => {
    if (kept[i]) shown.push(line);
    else if (shown.length === 0 || shown.at(-1) !== null) shown.push(null);
  });
  return shown;
}
