/** The unit of a query's answer, told from its text; plain when in doubt. */
import type { Unit } from '@/parts/number';

export function unitOf(expr: string): Unit {
  const text = expr.replace(/\{[^}]*\}/g, '');
  if (/\bcount(_values)?\b|_info\b/.test(text)) return 'plain';
  const rated = /\b(rate|irate|deriv)\s*\(/.test(text);
  if (/_bytes(_total)?\b/.test(text)) {
    if (/\*\s*8\b/.test(text)) return 'bits';
    if (/_bytes\w*\s*(\[[^\]]*\])?\)*\s*\/\s*[\w(]*_bytes/.test(text) || /^\s*\(?1\s*-/.test(text)) return 'percent';
    return 'bytes';
  }
  if (rated && /_seconds_total\b/.test(text)) return 'percent';
  if (/_ratio\b/.test(text)) return 'percent';
  if (/_seconds\b/.test(text) && !/_timestamp_seconds|_time_seconds$/.test(text)) return 'seconds';
  return 'plain';
}
