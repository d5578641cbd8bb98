/**
 * How full a disk is, as `df` counts it: used / (used + available). Blocks that are kept back for root belong to neither, so they
 * make no disk look fuller or emptier than it is. The built-in rules count the same way.
 */
import type { Status } from '@/api/types';
import { span } from './time';

const PSEUDO = 'tmpfs|ramfs|overlay|squashfs|iso9660|devtmpfs';

/** File systems that hold data, not those that the kernel makes up. */
export const DATA_DISKS = `fstype!~"${PSEUDO}"`;

const join = (...matchers: string[]) => `{${matchers.filter(Boolean).join(',')}}`;

/** A value counts for so long; without it a query looks back five minutes, and a host that is gone seems to go on. */
export const within = (selector: string, window: string) => `last_over_time(${selector}[${window}])`;

/** What is free of what may be used, 0 to 1, for the disks that the matchers choose. */
export function diskFree(...matchers: string[]): string {
  const on = join(...matchers);
  const avail = `node_filesystem_avail_bytes${on}`;
  return `${avail} / (node_filesystem_size_bytes${on} - node_filesystem_free_bytes${on} + ${avail})`;
}

export const diskUsed = (...matchers: string[]) => `1 - ${diskFree(...matchers)}`;

/** The same from samples of the window alone. */
export function diskUsedWithin(window: string, ...matchers: string[]): string {
  const of = (name: string) => within(`node_filesystem_${name}_bytes${join(...matchers)}`, window);
  return `1 - ${of('avail')} / (${of('size')} - ${of('free')} + ${of('avail')})`;
}

/** Seconds until nothing is free at the pace of the last hour; not positive, or infinite, where it does not fill. */
export function diskSecondsLeft(...matchers: string[]): string {
  const on = join(...matchers);
  return `node_filesystem_avail_bytes${on} / -deriv(node_filesystem_avail_bytes${on}[1h])`;
}

/** `df` rounds up: a disk with one block used is at 1 %, and 100 % is said as soon as less than 1 % is free. */
export function diskPercent(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return '–';
  return `${Math.ceil(Math.max(0, share) * 100 - 1e-9)} %`;
}

export function diskStatus(share: number | undefined): 'warning' | 'critical' | undefined {
  if (share === undefined || Number.isNaN(share)) return undefined;
  return share > 0.95 ? 'critical' : share > 0.85 ? 'warning' : undefined;
}

const DAY = 86_400;

/** When a disk is full. One that is full now is never said to be so later. */
export function projectedFull(
  share: number | undefined,
  seconds: number | undefined,
): { text: string; status: Status; sort: number } {
  if (share === undefined || Number.isNaN(share)) return { text: 'no data', status: 'unknown', sort: Infinity };
  if (share > 0.99) return { text: 'Full now', status: 'critical', sort: 0 };
  if (seconds !== undefined && seconds > 0 && seconds < 90 * DAY) {
    return {
      text: `in ${span(seconds, true)}`,
      status: diskStatus(share) ?? (seconds < DAY ? 'warning' : 'ok'),
      sort: seconds,
    };
  }
  const grows = seconds !== undefined && seconds > 0 && Number.isFinite(seconds);
  const later = grows ? '> 90 days' : seconds === undefined ? 'no trend yet' : 'Not growing';
  const high = diskStatus(share);
  return high
    ? { text: `${diskPercent(share)} full, ${later.toLowerCase()}`, status: high, sort: 90 * DAY }
    : { text: later, status: 'ok', sort: grows ? seconds : Number.MAX_VALUE };
}
