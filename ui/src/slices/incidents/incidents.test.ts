import { describe, expect, it } from 'vitest';
import type { Alert } from '@/api/alerting';
import type { Incident } from '@/api/incidents';
import { answer, byImpact, lede } from './answer';
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

describe('the answer', () => {
  it('is one sentence about the state of the world', () => {
    expect(answer({ incidents: [], hosts: [], waiting: 0 })).toBe('No host is watched yet');
    expect(answer({ incidents: [], hosts: ['ok'], waiting: 0 })).toBe('All is well');
    expect(answer({ incidents: [], hosts: ['ok', 'warning'], waiting: 0 })).toBe(
      'No open incident; 1 host needs a look',
    );
    expect(answer({ incidents: [incident({})], hosts: ['ok'], waiting: 0 })).toBe(
      'Disk is full; everything else holds',
    );
    expect(answer({ incidents: [incident({}), incident({ id: 'inc_2' })], hosts: [], waiting: 0 })).toBe(
      'Disk is full, and 1 other open incident',
    );
  });
  it('counts what is not in hand', () => {
    expect(lede({ incidents: [incident({})], hosts: ['ok', 'critical'], waiting: 2 })).toBe(
      '1 open incident, 1 not yet acknowledged, 1 of 2 hosts healthy. 2 things wait for an answer.',
    );
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

describe('rows', () => {
  it('says in whose hands it is', () => {
    expect(hands(incident({}), 'me')).toBe('nobody yet');
    expect(hands(incident({ lead: { id: 'me', name: 'Ada' } }), 'me')).toBe('led by you');
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
      'x.service runs (1) or not (0)',
    );
    expect(chartFor(alert('Other', {}), 'a')?.title).toBe('Processors, busy');
    expect(chartFor(null, undefined)).toBeNull();
  });
  it('cannot be broken out of by a name', () => {
    expect(chartFor(alert('X', { mountpoint: '/"} or vector(1)' }), undefined)?.expr).toContain('\\"}');
  });
});
