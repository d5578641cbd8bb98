/** Times as people say them. */

const UNITS: [string, number][] = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
];

/** `6 min 12 s`, `3 h 20 min`, `41 d`: at most two units, the second only while the first is small. */
export function span(seconds: number, short = false): string {
  const total = Math.max(0, Math.round(seconds));
  for (let i = 0; i < UNITS.length; i++) {
    const [unit, size] = UNITS[i] as [string, number];
    if (total < size && unit !== 's') continue;
    const whole = Math.floor(total / size);
    const next = UNITS[i + 1];
    const rest = next ? Math.floor((total % size) / next[1]) : 0;
    if (short || !next || rest === 0 || whole >= 10) return `${whole} ${unit}`;
    return `${whole} ${unit} ${rest} ${next[0]}`;
  }
  return '0 s';
}

export function ago(at: string | number | Date, now = Date.now()): string {
  const seconds = (now - new Date(at).getTime()) / 1000;
  if (seconds < -1) return `in ${span(-seconds, true)}`;
  if (seconds < 2) return 'now';
  return `${span(seconds, true)} ago`;
}

const two = (n: number) => String(n).padStart(2, '0');

/** `14:36:42`. */
export function clock(at: string | number | Date, seconds = true): string {
  const d = new Date(at);
  return `${two(d.getHours())}:${two(d.getMinutes())}${seconds ? `:${two(d.getSeconds())}` : ''}`;
}

export function isToday(at: string | number | Date, now = new Date()): boolean {
  return new Date(at).toDateString() === now.toDateString();
}

/** `21 Nov`, in the order and language of the reader's locale; with the year when it is another one. */
export function day(at: string | number | Date, now = new Date(), locale?: string): string {
  const d = new Date(at);
  const year = d.getFullYear() === now.getFullYear() ? undefined : 'numeric';
  return d.toLocaleDateString(locale, { day: 'numeric', month: 'short', year });
}

/** `14:36:42` today, `21 Nov 14:36` else. */
export function moment(at: string | number | Date): string {
  return isToday(at) ? clock(at) : `${day(at)} ${clock(at, false)}`;
}

/** What the two ends of a time axis say, given in Unix seconds: with their days unless both are of today. */
export function axisEnds(from: number, to: number, now = new Date()): [string, string] {
  const seconds = to - from < 600;
  const sameDay = isToday(from * 1000, now) && isToday(to * 1000, now);
  const text = (t: number) => (sameDay ? '' : `${day(t * 1000, now)} `) + clock(t * 1000, seconds);
  return [text(from), text(to)];
}

export function absolute(at: string | number | Date): string {
  const d = new Date(at);
  const zone = -d.getTimezoneOffset();
  const sign = zone < 0 ? '-' : '+';
  const offset = `${sign}${two(Math.floor(Math.abs(zone) / 60))}:${two(Math.abs(zone) % 60)}`;
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(d)} ${offset}`;
}

/** An hour after a moment. */
export const later = (at: string, hours = 1): string => new Date(Date.parse(at) + hours * 3_600_000).toISOString();
