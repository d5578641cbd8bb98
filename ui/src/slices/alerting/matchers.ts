/** Matchers as text: `instance="web-1",job=~"a|b"`. */
import type { Matcher } from '@/api/alerting';

const ONE = /^\s*([a-zA-Z_][\w.]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^,"]*))\s*(?:,|$)/;

/** The matchers, or what is wrong and where. */
export function parseMatchers(text: string): { matchers: Matcher[]; error: string | null } {
  const matchers: Matcher[] = [];
  let rest = text.trim();
  while (rest !== '') {
    const found = ONE.exec(rest);
    if (!found)
      return { matchers, error: `cannot read "${rest.slice(0, 24)}": use label="value", separated by commas` };
    const value = found[3] !== undefined ? found[3].replace(/\\(.)/g, '$1') : (found[4] ?? '').trim();
    matchers.push({ name: found[1] ?? '', op: found[2] as Matcher['op'], value });
    rest = rest.slice(found[0].length).trim();
  }
  return { matchers, error: matchers.length === 0 ? 'name at least one label' : null };
}

export function showMatchers(matchers: Matcher[]): string {
  return matchers.map((m) => `${m.name}${m.op}${JSON.stringify(m.value)}`).join(', ');
}
