/** Tags as people write them: `env=prod`. */

/** Null when one is not of that form. */
export function parseTags(list: string[]): Record<string, string> | null {
  const tags: Record<string, string> = {};
  for (const text of list) {
    const at = text.indexOf('=');
    if (at < 1) return null;
    tags[text.slice(0, at).trim()] = text.slice(at + 1).trim();
  }
  return tags;
}

/** `items with env=prod, system=shop`, or that it is everything. */
export function coverage(tags: Record<string, string>): string {
  const pairs = Object.entries(tags).map(([k, v]) => `${k}=${v}`);
  return pairs.length === 0 ? 'everything' : `items with ${pairs.join(', ')}`;
}

/** What a field of the type `datetime-local` takes. */
export function localTime(at: number): string {
  const d = new Date(at);
  return new Date(at - d.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
