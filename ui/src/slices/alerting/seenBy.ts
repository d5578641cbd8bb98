/** The rules behind an alert, in words. */
import type { Alert } from '@/api/alerting';

/** `rule ShopErrors, file shop`: from `rule:shop/shop/ShopErrors#0`. */
export function seenBy(alert: Alert): string {
  const words = alert.sources.map((source) => {
    const rule = /^rule:([^/]+)\/(.+)\/([^/#]+)(#\d+)?$/.exec(source);
    return rule ? `rule ${rule[3]}, file ${rule[1]}` : source;
  });
  return [...new Set(words)].join('; ');
}
