import { describe, expect, it } from 'vitest';
import type { Alert } from '@/api/alerting';
import { type Incident, isOver, overAt } from '@/api/incidents';
import { answer, byImpact, lede, type World } from './answer';
import { numberOf } from './incident';
import { chartFor } from './measure';
import { hands, where } from './rows';
import { before } from './suspects';

const incident = (more: Partial<Incident>): Incident =>
  ({
    id: 'inc_1',
    number: 1,
    title: 'Disk is full',
    state: 'triggered',
    severity: 'sev2',
    lead: null,
    items: [],
    alert_count: 1,
    opened_at: '2026-01-01T12:00:00Z',
    acknowledged_by: null,
    ...more,
  }) as Incident;

const calm: World = { incidents: [], firing: 0, muted: 0, hosts: [], waiting: 0, unread: [] };
const ok = { status: 'ok' as const, stale: false };
const silent = { status: 'unknown' as const, stale: true };

describe('the answer', () => {
  it('names the incident, and never says that the rest is healthy', () => {
    const one = { ...calm, incidents: [incident({})], firing: 3, hosts: [ok, silent] };
    expect(answer(one)).toBe('Disk is full');
    expect(lede(one)).toBe(
      '1 open incident, 1 unacknowledged, 3 alerts firing, 1 host not reporting, 1 of 2 hosts healthy.',
    );
    expect(answer({ ...one, incidents: [incident({}), incident({ id: 'inc_2' })] })).toBe(
      'Disk is full, and 1 other open incident',
    );
  });
  it('counts alerts and silent hosts where there is no incident', () => {
    expect(answer({ ...calm, hosts: [ok], firing: 1 })).toBe('No open incident, but 1 alert firing');
    expect(answer({ ...calm, hosts: [ok, silent], firing: 2 })).toBe(
      'No open incident, but 2 alerts firing and 1 host not reporting',
    );
    expect(answer({ ...calm, hosts: [ok, silent] })).toBe('No open incident, but 1 host not reporting');
    expect(answer({ ...calm, hosts: [ok, { status: 'unknown', stale: false }] })).toBe(
      'No open incident, but 1 host is not healthy',
    );
    expect(answer({ ...calm, hosts: [ok], muted: 2 })).toBe('No alerts firing, except 2 silenced or in maintenance');
  });
  it('says operational only when all of it was read and is so', () => {
    expect(answer({ ...calm, hosts: [ok] })).toBe('All systems operational');
    expect(answer(calm)).toBe('No hosts are monitored yet');
    expect(answer({ ...calm, hosts: [ok], unread: ['alerts', 'hosts'] })).toBe(
      'Status unknown: alerts and hosts cannot be read',
    );
    expect(answer({ ...calm, hosts: [ok], lostAt: Date.now() })).toMatch(/^Status unknown since \d\d:\d\d/);
    expect(lede({ ...calm, hosts: [ok] })).toBe('1 of 1 host healthy. No action required.');
    for (const more of [{ firing: 1 }, { hosts: [silent] }, { unread: ['alerts'] }, { lostAt: 1 }, { waiting: 1 }]) {
      expect(lede({ ...calm, hosts: [ok], ...more })).not.toContain('No action');
    }
  });
  it('counts pending approvals', () => {
    expect(lede({ ...calm, hosts: [ok], waiting: 2 })).toBe('1 of 1 host healthy. 2 approvals pending.');
  });
  it('puts the worst first, then what nobody has taken', () => {
    const list = [
      incident({ id: 'a', severity: 'sev3' }),
      incident({ id: 'b', state: 'acknowledged' }),
      incident({ id: 'c' }),
    ];
    expect(byImpact(list).map((i) => i.id)).toEqual(['c', 'b', 'a']);
  });
});

describe('an incident', () => {
  it('is named by its number as well', () => {
    expect(numberOf('1')).toBe(1);
    expect(numberOf('#42')).toBe(42);
    for (const id of ['inc_01890a5dac9678ad8b2b8d0e2c2f6c3a', '', '1a', '-1']) expect(numberOf(id)).toBeNull();
  });
  it('that was reopened is open in every part of its page', () => {
    const again = incident({ state: 'triggered', resolved_at: '2026-01-01T13:00:00Z', reopened: 1 });
    expect(isOver(again)).toBe(false);
    expect(overAt(again)).toBeNull();
    expect(hands(again, 'me')).toBe('unacknowledged');
    expect(overAt({ ...again, state: 'closed' })).toBe('2026-01-01T13:00:00Z');
  });
});

describe('rows', () => {
  it('says in whose hands it is', () => {
    expect(hands(incident({}), 'me')).toBe('unacknowledged');
    expect(hands(incident({ lead: { id: 'me', name: 'Ada' } }), 'me')).toBe('lead: you');
    expect(hands(incident({ state: 'acknowledged', acknowledged_by: { id: 'x', name: 'Ben' } }), 'me')).toBe(
      'acknowledged by Ben',
    );
    expect(hands(incident({ state: 'resolved' }), 'me')).toBe('resolved');
  });
  it('names at most three places', () => {
    const items = ['a', 'b', 'c', 'd'].map((name) => ({ id: name, name, kind: 'host' }));
    expect(where(incident({ items, alert_count: 5 }))).toBe('a, b, c and 1 more · 5 alerts');
  });
  it('tells how long before', () => {
    expect(before('2026-01-01T11:59:19Z', '2026-01-01T12:00:00Z')).toBe('41 s before');
  });
});

describe('the measure', () => {
  const alert = (name: string, labels: Record<string, string>) => ({ name, labels }) as unknown as Alert;
  it('follows the alert', () => {
    expect(chartFor(alert('DiskFull', { instance: 'a', mountpoint: '/data' }), 'a')?.expr).toContain(
      'mountpoint="/data"',
    );
    expect(chartFor(alert('SystemdUnitFailed', { instance: 'a', name: 'x.service' }), 'a')?.title).toBe(
      'x.service running (1) or not (0)',
    );
    expect(chartFor(alert('Other', {}), 'a')?.title).toBe('CPU utilization');
    expect(chartFor(null, undefined)).toBeNull();
  });
  it('cannot be broken out of by a name', () => {
    expect(chartFor(alert('X', { mountpoint: '/"} or vector(1)' }), undefined)?.expr).toContain('\\"}');
  });
});
