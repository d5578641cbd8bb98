/** Finding by a few letters: whole words before beginnings before letters in order. */
export interface Found {
  kind: string;
  text: string;
  detail?: string;
  keys?: string;
  run: () => void;
}

export function score(text: string, wanted: string): number {
  const hay = text.toLowerCase();
  const needle = wanted.trim().toLowerCase();
  if (needle === '') return 1;
  if (hay === needle) return 100;
  if (hay.startsWith(needle)) return 80;
  const words = hay.split(/[\s\-_./:]+/);
  if (words.some((word) => word.startsWith(needle))) return 60;
  if (hay.includes(needle)) return 40;
  let i = 0;
  for (const char of hay) if (char === needle[i]) i++;
  return i === needle.length && needle.length > 1 ? 10 : 0;
}

/** Several words have each to be found, in the name, the detail or the kind. */
function points(entry: { kind: string; text: string; detail?: string }, wanted: string): number {
  const whole = Math.max(score(entry.text, wanted), score(`${entry.kind} ${entry.text}`, wanted) - 5);
  const words = wanted.trim().split(/\s+/);
  if (whole > 10 || words.length < 2) return Math.max(whole, score(entry.detail ?? '', wanted) >= 40 ? 8 : 0);
  const each = words.map((word) =>
    Math.max(score(entry.text, word), score(entry.detail ?? '', word) - 5, score(entry.kind, word) - 10),
  );
  return Math.min(...each) >= 30 ? Math.min(...each) : whole;
}

export function rank<T extends { kind: string; text: string; detail?: string }>(entries: T[], wanted: string): T[] {
  if (wanted.trim() === '') return entries;
  return entries
    .map((entry, i) => ({
      entry,
      i,
      points: points(entry, wanted),
    }))
    .filter((x) => x.points > 0)
    .sort((a, b) => b.points - a.points || a.i - b.i)
    .map((x) => x.entry);
}
