import { describe, expect, it } from 'vitest';
import type { Event } from '@/api/types';
import { toCsv } from './csv';
import { diskPercent, diskUsed, projectedFull } from './disk';
import { marked, wordAt } from './editor';
import { meaning } from './keys';
import { wordsOf } from './logview';
import { bits, bytes, format, middle, percent, plain, plural, seconds } from './number';
import { suggestion } from './publicUrl';
import { stepFor } from './range';
import { rank, score } from './rank';
import { commandsOf } from './runDialog';
import { ofRun, ofService, ofSeverity, worst } from './status';
import { address, tell } from './story';
import { ago, axisEnds, day, span } from './time';
import { causeOf } from './timeline';

describe('a time axis', () => {
  const now = new Date(2026, 10, 29, 15, 0, 0);
  const at = (day: number, hour: number) => new Date(2026, 10, day, hour, 0, 0).getTime() / 1000;
  it('has times alone at both ends while both are of today', () => {
    expect(axisEnds(at(29, 9), at(29, 15), now)).toEqual(['09:00', '15:00']);
  });
  it('has dates at both ends as soon as one is of another day', () => {
    for (const end of axisEnds(at(28, 15), at(29, 15), now)) expect(end).toMatch(/2[89].* 15:00$/);
  });
  it('writes days in the order of the locale', () => {
    expect(day(now, now, 'en-GB')).toBe('29 Nov');
    expect(day(now, now, 'en-US')).toBe('Nov 29');
    expect(day(new Date(2025, 0, 2), now, 'en-GB')).toBe('2 Jan 2025');
  });
});

describe('the plan of a run', () => {
  it('keeps its lines, and tells targets apart where they differ', () => {
    const what = 'set -e\nsystemctl restart x';
    const step = (on: { target: string; what: string }[]) => ({ name: 's', kind: 'script', on });
    expect(
      commandsOf(
        step([
          { target: 'a', what },
          { target: 'b', what },
        ]),
      ),
    ).toEqual([{ what, targets: [] }]);
    expect(
      commandsOf(
        step([
          { target: 'a', what },
          { target: 'b', what: 'true' },
        ]),
      ),
    ).toEqual([
      { what, targets: ['a'] },
      { what: 'true', targets: ['b'] },
    ]);
  });
});

describe('the public address', () => {
  it('is suggested from where the page is open, unless that is local too', () => {
    expect(suggestion('https://ops.example.com')).toBe('https://ops.example.com');
    for (const local of ['http://127.0.0.1:8600', 'http://localhost:8600', 'http://[::1]:8600'])
      expect(suggestion(local)).toBe('https://mainstay.example.org');
  });
});

describe('disks', () => {
  it('count as df does', () => {
    expect(diskUsed('instance="a"')).toBe(
      '1 - node_filesystem_avail_bytes{instance="a"} / (node_filesystem_size_bytes{instance="a"} - ' +
        'node_filesystem_free_bytes{instance="a"} + node_filesystem_avail_bytes{instance="a"})',
    );
    expect(diskPercent(0.1583)).toBe('16 %');
    expect(diskPercent(0.16)).toBe('16 %');
    expect(diskPercent(1)).toBe('100 %');
    expect(diskPercent(Number.NaN)).toBe('–');
  });
  it('say when they are full, and never "later" of one that is', () => {
    for (const pace of [undefined, Number.NaN, -5, 0, 1e12, Number.POSITIVE_INFINITY]) {
      expect(projectedFull(1, pace)).toMatchObject({ text: 'Full now', status: 'critical' });
      expect(projectedFull(0.97, pace).status).toBe('critical');
    }
    expect(projectedFull(0.99, 180)).toMatchObject({ text: 'in 3 min', status: 'critical' });
    expect(projectedFull(0.5, 3 * 86_400).text).toBe('in 3 d');
    expect(projectedFull(0.5, 100 * 86_400).text).toBe('> 90 days');
    expect(projectedFull(0.5, -1).text).toBe('Not growing');
    expect(projectedFull(0.9, -1)).toMatchObject({ text: '90 % full, not growing', status: 'warning' });
    expect(projectedFull(undefined, 1).text).toBe('no data');
  });
});

describe('times', () => {
  it.each([
    [0, '0 s'],
    [42, '42 s'],
    [372, '6 min 12 s'],
    [600, '10 min'],
    [3600, '1 h'],
    [12_000, '3 h 20 min'],
    [41 * 86_400 + 7200, '41 d'],
  ])('%d s is %s', (s, text) => expect(span(s)).toBe(text));

  it('tells past from future', () => {
    const now = Date.parse('2026-01-01T12:00:00Z');
    expect(ago('2026-01-01T11:54:00Z', now)).toBe('6 min ago');
    expect(ago('2026-01-01T12:09:00Z', now)).toBe('in 9 min');
    expect(ago('2026-01-01T11:59:59Z', now)).toBe('now');
  });
});

describe('numbers', () => {
  it('counts bytes in powers of 1024 and bits in powers of 1000', () => {
    expect(bytes(34_359_738_368)).toBe('32 GiB');
    expect(bytes(0)).toBe('0 B');
    expect(bits(48_000_000)).toBe('48 Mbit/s');
  });
  it('does not make numbers of what is none', () => {
    expect(format(null, 'percent')).toBe('–');
    expect(percent(Number.NaN)).toBe('–');
    expect(plain(Number.POSITIVE_INFINITY)).toBe('–');
  });
  it('takes the unit that fits', () => {
    expect(seconds(0.18)).toBe('180 ms');
    expect(seconds(2.4)).toBe('2.4 s');
    expect(percent(0.914, 1)).toBe('91.4 %');
    expect(plural(1, 'host')).toBe('1 host');
    expect(plural(2, 'person', 'people')).toBe('2 people');
    expect(middle('a'.repeat(50), 11)).toBe('aaaaa…aaaaa');
  });
});

describe('csv', () => {
  it('quotes what must be quoted and disarms formulas', () => {
    const columns = [{ head: 'a', value: (r: { a: string | number | null }) => r.a }];
    expect(toCsv(columns, [{ a: 'x,"y"' }, { a: '=1+1' }, { a: null }, { a: -3 }])).toBe(
      `a\r\n"x,""y"""\r\n'=1+1\r\n\r\n-3\r\n`,
    );
  });
});

describe('keys', () => {
  const ran: string[] = [];
  const keys = { 'g i': () => ran.push('incidents'), a: () => ran.push('assign') };
  it('walks two keys', () => {
    const first = meaning(keys, '', 'g');
    expect(first.run).toBeUndefined();
    expect(first.prefix).toBe('g');
    meaning(keys, first.prefix, 'i').run?.();
    meaning(keys, '', 'a').run?.();
    expect(ran).toEqual(['incidents', 'assign']);
  });
  it('forgets a walk that leads nowhere', () => {
    expect(meaning(keys, 'g', 'x')).toEqual({ prefix: '' });
  });
});

describe('rank', () => {
  it('puts beginnings before middles before letters in order', () => {
    const list = [
      { kind: 'Host', text: 'db-web' },
      { kind: 'Host', text: 'web-01' },
      { kind: 'Host', text: 'wide-elbow' },
    ];
    expect(rank(list, 'web').map((x) => x.text)).toEqual(['web-01', 'db-web', 'wide-elbow']);
    expect(score('abc', 'zz')).toBe(0);
  });
});

describe('status', () => {
  it('speaks one vocabulary', () => {
    expect(ofSeverity('sev1')).toBe('critical');
    expect(ofSeverity('sev3')).toBe('warning');
    expect(ofSeverity('info')).toBe('unknown');
    expect(ofService('failed')).toBe('critical');
    expect(ofService('inactive')).toBe('unknown');
    expect(ofRun('awaiting_person')).toBe('warning');
    expect(worst(['ok', 'warning', 'maintenance'])).toBe('warning');
    expect(worst([])).toBe('ok');
  });
});

describe('editor', () => {
  it('marks the word at a fault', () => {
    expect(marked('a: 1\nbad value', [{ line: 2, column: 5, message: '' }]).filter((p) => p.bad)).toEqual([
      { text: 'value', bad: true },
    ]);
  });
  it('marks a place behind the end', () => {
    expect(marked('rate(x', [{ line: 1, column: 7, message: '' }]).at(-2)).toEqual({ text: ' ', bad: true });
  });
  it('finds the word before the caret', () => {
    expect(wordAt('sum(node_cp', 11)).toEqual({ word: 'node_cp', from: 4 });
  });
});

const event = (topic: string, data: Record<string, unknown>, more: Partial<Event> = {}): Event => ({
  seq: 1,
  at: '2026-01-01T12:00:00Z',
  topic,
  subject: 'itm_1',
  actor: 'system:x',
  actor_name: 'x',
  cause: null,
  data,
  ...more,
});

describe('story', () => {
  it('counts steps as people do, and names what changed', () => {
    const said = (topic: string, data: Record<string, unknown>) => {
      const { subject, text, detail } = tell(event(topic, data));
      return `${subject} ${text} | ${detail}`;
    };
    expect(said('run.step_finished', { step: 0, name: 'Look', state: 'ok', target: 'web-1' })).toBe(
      'Step 1, Look ok | web-1',
    );
    expect(said('package.changed', { host: 'app-5', updated: ['shop 1 → 2'], updated_count: 1, added: [] })).toBe(
      'app-5 : packages changed | shop 1 → 2',
    );
    expect(said('package.changed', { host: 'a', updated: ['x', 'y'], removed: ['z'] })).toContain(
      '2 updated, removed z',
    );
    expect(said('item.changed', { name: 'p', attribute: 'listening', before: ['tcp :1'], after: null })).toBe(
      'p : listening is removed | was tcp :1',
    );
    expect(
      said('item.changed', { name: 'postgresql:5432', attribute: 'running', before: true, after: false }),
    ).toContain('stopped');
    expect(said('item.changed', { name: 'web-1', attribute: 'kernel', before: '6.1', after: '6.2' })).toContain('6.2');
    const grew = { text: 'A joined: it is about B too.', alert: { reason: 'it is about B too.' } };
    expect(said('incident.grew', grew).match(/it is about B/g)).toHaveLength(1);
  });
  it('tells events as sentences', () => {
    const fired = tell(
      event('alert.fired', {
        name: 'DiskFull',
        severity: 'critical',
        labels: { instance: 'db-01' },
        annotations: { summary: 'Disk is full' },
      }),
    );
    expect(fired).toEqual({
      status: 'critical',
      subject: 'Disk is full',
      text: 'firing',
      detail: 'alert DiskFull on db-01',
    });
    expect(tell(event('service.changed', { name: 'nginx', state: 'failed', manager: 'systemd' })).status).toBe(
      'critical',
    );
    expect(tell(event('incident.opened', { severity: 'sev2', text: 'Incident #4 opened' })).text).toBe(
      'Incident #4 opened',
    );
    expect(tell(event('incident.commented', { note: 'looking' }, { actor_name: 'Ada' }))).toMatchObject({
      subject: 'Ada',
      text: ': looking',
    });
  });
  it('says something of every topic', () => {
    expect(tell(event('unheard.of_thing', {}))).toMatchObject({ subject: 'Unheard', text: 'of thing' });
  });
  it('names the cause that the story knows', () => {
    const cause = event('service.changed', { name: 'nginx', state: 'failed' }, { seq: 7 });
    expect(causeOf(event('alert.fired', {}, { cause: 7 }), new Map([[7, cause]]))).toBe('← nginx is failed');
    expect(causeOf(event('alert.fired', {}, { cause: 9 }), new Map())).toBe('');
  });
  it('knows where things have a page', () => {
    expect(address('inc_01')).toBe('/incidents/inc_01');
    expect(address('msg_01')).toBeNull();
  });
});

describe('others', () => {
  it('takes a step that keeps a chart at 600 points', () => {
    expect(stepFor(300)).toBe(1);
    expect(stepFor(3600)).toBe(10);
    expect(stepFor(604_800)).toBe(1800);
  });
  it('finds the words of a log search', () => {
    expect(wordsOf('error unit:nginx.service AND timeout')).toEqual(['error', 'timeout']);
  });
});
