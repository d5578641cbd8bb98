import { describe, expect, it } from 'vitest';
import type { Agent } from '@/api/fleet';
import type { Item } from '@/api/inventory';
import { concerned } from '@/api/live';
import { refusal } from '@/api/session';
import { place, QueryError } from '@/api/telemetry';
import type { Event } from '@/api/types';
import { cronWords } from '@/parts/cron';
import { diff, excerpt } from '@/parts/diff';
import type { HostHealth } from '@/parts/health';
import { healthOf } from '@/parts/health';
import { fold, named, readable, tell } from '@/parts/story';
import { parseTags } from '@/parts/tags';
import { safe } from './access/signIn';
import { parseMatchers, showMatchers } from './alerting/matchers';
import { pendingWords, titleOf } from './alerting/pending';
import { STARTERS, starterFiles } from './automation/starters';
import { hours } from './change/windows';
import { findings } from './fleet/attention';
import { ownerOf, reachOf } from './fleet/hostServices';
import { firstOf, healthOfAll } from './fleet/hosts';
import { show } from './inventory/attributes';
import { group, layers, upstream } from './inventory/layout';
import { counts, headline, type MapWorld, statusOf } from './inventory/mapStatus';
import { draw } from './inventory/place';
import { toConfig } from './notify/channelFields';
import { unitOf } from './telemetry/guess';
import { faultOf } from './telemetry/metrics';

describe('access', () => {
  it('returns only to addresses of this server', () => {
    expect(safe('/hosts?x=1')).toBe('/hosts?x=1');
    for (const bad of ['//evil.example', 'https://evil.example', '/\\evil.example', '']) expect(safe(bad)).toBe('/');
  });
  it('says why a button cannot be used', () => {
    const session = {
      actor: { id: 'p', kind: 'person' as const, name: 'Ada' },
      roles: ['viewer'],
      permissions: ['incidents.read'],
    };
    expect(refusal(session, 'incidents.read')).toBeNull();
    expect(refusal(session, 'incidents.write')).toBe('Needs the permission incidents.write; you hold viewer.');
  });
});

describe('live', () => {
  it('knows which queries an event concerns', () => {
    expect(concerned('alert.fired')).toEqual(expect.arrayContaining(['events', 'alerts', 'incidents']));
    expect(concerned('rules.changed')).toContain('rules');
    expect(concerned('unknown.thing')).toEqual(['events']);
  });
});

describe('a pending alert', () => {
  const alert = {
    state: 'pending',
    name: 'CpuBusy',
    annotations: { summary: 'busy for ten minutes' },
    active_since: '2026-01-01T12:00:00Z',
    due_at: '2026-01-01T12:10:00Z',
  } as never;
  it('does not claim the duration of its rule', () => {
    expect(titleOf(alert)).toBe('CpuBusy');
    expect(pendingWords(alert, Date.parse('2026-01-01T12:00:42Z'))).toMatch(
      /^condition true for 42 s; fires at \d\d:10:00 unless it recovers$/,
    );
    expect(titleOf({ ...(alert as object), state: 'firing' } as never)).toBe('busy for ten minutes');
  });
});

describe('alerting', () => {
  it('reads matchers', () => {
    expect(parseMatchers('a="x, y", b=~"z|\\"q\\"",c!=plain')).toEqual({
      matchers: [
        { name: 'a', op: '=', value: 'x, y' },
        { name: 'b', op: '=~', value: 'z|"q"' },
        { name: 'c', op: '!=', value: 'plain' },
      ],
      error: null,
    });
  });
  it('says what cannot be read', () => {
    expect(parseMatchers('').error).toBe('name at least one label');
    expect(parseMatchers('a="x", 5').error).toMatch(/cannot read "5"/);
  });
  it('round-trips', () => {
    const text = 'alertname="A", instance=~"web-.*"';
    expect(showMatchers(parseMatchers(text).matchers)).toBe(text);
  });
});

describe('fleet', () => {
  it('says who listens and from where it can be reached', () => {
    const listener = { protocol: 'tcp', address: '0.0.0.0', port: 443, process: null, service: null };
    expect(ownerOf({ ...listener, process: 'nginx', service: { name: 'nginx.service' } as never })).toBe(
      'nginx.service',
    );
    expect(ownerOf({ ...listener, process: 'python3' })).toBe('python3');
    expect(ownerOf(listener)).toBe('');
    for (const local of ['127.0.0.1', '127.0.0.53', '::1']) expect(reachOf(local)).toBe('this host only');
    for (const any of ['0.0.0.0', '::']) expect(reachOf(any)).toBe('all networks');
    expect(reachOf('10.0.0.5')).toBe('the network of this address');
  });
  const item = { id: 'itm_1', name: 'web-01', retired_at: null, attributes: {} } as unknown as Item;
  const agent = (presence: string) => ({ state: 'active', presence }) as unknown as Agent;
  const alert = (more: object) =>
    ({
      state: 'firing',
      severity: 'warning',
      annotations: { summary: 'Disk' },
      labels: {},
      name: 'D',
      ...more,
    }) as never;
  it('tells health from agent and alerts', () => {
    expect(healthOf(item, agent('connected'), [])).toEqual({ status: 'ok', word: 'OK' });
    expect(healthOf(item, agent('lost'), [])).toEqual({ status: 'critical', word: 'stopped reporting' });
    expect(healthOf(item, agent('disconnected'), []).status).toBe('unknown');
    expect(healthOf(item, null, []).word).toBe('no agent');
    expect(healthOf(item, agent('connected'), [alert({})])).toEqual({ status: 'warning', word: 'Disk' });
  });
  it('calls nothing OK that fires, is silent or is unknown', () => {
    for (const [presence, alerts] of [
      ['connected', null],
      ['connected', [alert({ silenced_by: 's' })]],
      ['connected', [alert({ suppressed_by: 'm' })]],
      ['connected', [alert({ severity: 'critical' })]],
      ['disconnected', []],
      ['new', []],
    ] as const) {
      expect(healthOf(item, agent(presence), alerts && [...alerts]).status).not.toBe('ok');
    }
    expect(healthOf(item, agent('connected'), [alert({ severity: 'info' })]).word).toBe('OK, 1 info alert');
    expect(healthOf(item, agent('connected'), [alert({ state: 'pending' })]).word).toBe('OK');
  });
  it('counts all hosts in its headline', () => {
    const host = (status: string) => ({ item: { name: 'web-01' }, status }) as unknown as HostHealth;
    expect(healthOfAll([])).toBe('No hosts are monitored yet');
    expect(healthOfAll([host('ok'), host('ok')])).toBe('All 2 hosts healthy');
    expect(healthOfAll([host('ok'), host('critical'), host('unknown'), host('maintenance')])).toBe(
      '4 hosts: 1 unhealthy, 1 unknown, 1 in maintenance or silenced',
    );
  });
  it('finds what no rule has spoken of', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    const value = (v: unknown) => ({ value: v, source: 's', at: '' });
    const service = { id: 's', name: 'nginx.service', attributes: { state: value('failed') } } as unknown as Item;
    const certificate = {
      id: 'c',
      name: '/etc/a.pem',
      attributes: { not_after: value('2026-01-10T00:00:00Z') },
    } as unknown as Item;
    expect(findings([], [service], [certificate], now).map((f) => f.title)).toEqual([
      'nginx.service failed',
      'Certificate /etc/a.pem expires in 9 d',
    ]);
  });
});

describe('hosts', () => {
  it('names a few of those that need a look', () => {
    const host = (name: string, word = 'is slow') => ({ item: { name }, word }) as unknown as HostHealth;
    expect(firstOf([host('a-1')])).toBe('a-1: is slow');
    expect(firstOf([host('a-1', 'a-1 is down')])).toBe('a-1 is down');
    expect(firstOf(['a-10', 'a-2', 'a-1'].map((n) => host(n)))).toBe('a-1, a-2, a-10');
    expect(firstOf(['e', 'd', 'c', 'b', 'a'].map((n) => host(n)))).toBe('a, b, c, d and 1 more');
  });
});

describe('the map', () => {
  const node = (id: string, kind: string, host: string | null = 'h1') =>
    ({ id, kind, name: id, host, host_name: host && 'web-01' }) as never;
  const agent = (presence: string) => ({ state: 'active', presence }) as never;
  const world = (more: Partial<MapWorld> = {}): MapWorld => ({
    alerts: [],
    states: new Map([['s1', 'running']]),
    hosts: new Map([['h1', { status: 'ok', agent: agent('connected') }]]),
    ...more,
  });
  const nodes = [node('s1', 'service'), node('h1', 'host'), node('10.0.0.9:443', 'endpoint', null)];
  const all = (w: MapWorld) => new Map(nodes.map((n: { id: string }) => [n.id, statusOf(n as never, w)]));
  it('counts hosts and endpoints beside services, not among them', () => {
    expect(counts(nodes)).toBe('1 service, 1 host, 1 endpoint');
    expect(headline(nodes, all(world()))).toBe('1 service healthy');
  });
  it('shows what fires, and what is no longer known', () => {
    const fires = { state: 'firing', severity: 'critical', item_id: 's1', labels: {} } as never;
    expect(headline(nodes, all(world({ alerts: [fires] })))).toBe('s1 on web-01 is unhealthy');
    const silent = new Map([['h1', { status: 'critical' as const, agent: agent('lost') }]]);
    expect(headline(nodes, all(world({ hosts: silent })))).toBe('1 service: 1 unknown, 1 host not healthy');
    expect(all(world({ alerts: null })).get('s1')).toBe('unknown');
    expect(all(world({ states: new Map() })).get('s1')).toBe('unknown');
    expect(statusOf(nodes[2] as never, world())).toBe('unknown');
  });
});

describe('inventory', () => {
  const boxes = ['a', 'b', 'c', 'd'].map((id) => ({ id, name: id }));
  const arrows = [
    { from: 'a', to: 'b' },
    { from: 'b', to: 'c' },
    { from: 'a', to: 'c' },
  ];
  it('stands callers left of what they call', () => {
    expect(Object.fromEntries(layers(boxes, arrows))).toEqual({ a: 0, b: 1, c: 2, d: 2 });
  });
  it('lives with cycles', () => {
    const cycle = [
      { from: 'a', to: 'b' },
      { from: 'b', to: 'a' },
      { from: 'c', to: 'c' },
    ];
    const drawing = draw(boxes, cycle);
    expect(drawing.places.size).toBe(4);
    expect([...drawing.places.values()].every((p) => Number.isFinite(p.x) && Number.isFinite(p.y))).toBe(true);
  });
  it('keeps places when read again', () => {
    expect(draw(boxes, arrows)).toEqual(draw([...boxes].reverse(), [...arrows].reverse()));
  });
  it('never puts two boxes in one place', () => {
    const spots = [...draw(boxes, arrows).places.values()].map((p) => `${p.x}/${p.y}`);
    expect(new Set(spots).size).toBe(4);
  });
  it('walks to those who suffer', () => {
    expect([...upstream('c', arrows)].sort()).toEqual(['a', 'b', 'c']);
  });
  it('gathers the same name', () => {
    expect(
      group([
        { id: '1', name: 'x' },
        { id: '2', name: 'x' },
      ]).map((g) => g.members),
    ).toEqual([['1', '2']]);
  });
  it('shows values as people read them', () => {
    expect(show('memory_bytes', 34_359_738_368)).toBe('32 GiB');
    expect(show('addresses', ['10.0.0.1', '::1'])).toBe('10.0.0.1, ::1');
    expect(show('enabled', true)).toBe('yes');
  });
  it('reads tags', () => {
    expect(parseTags(['env=prod', 'a=b=c'])).toEqual({ env: 'prod', a: 'b=c' });
    expect(parseTags(['nonsense'])).toBeNull();
  });
});

describe('notify', () => {
  it('keeps secrets apart from the configuration', () => {
    const made = toConfig('email', { host: 'm', port: '25', from: 'f', password: 'p' }, ['a@b']);
    expect(made.config).toMatchObject({ type: 'email', port: 25, to: ['a@b'], username: null });
    expect(JSON.stringify(made.config)).not.toContain('password');
    expect(made.secrets).toEqual({ password: 'p' });
    expect(toConfig('slack', { url: 'https://x' }, [])).toEqual({
      config: { type: 'slack' },
      secrets: { url: 'https://x' },
    });
  });
});

describe('telemetry', () => {
  it.each([
    ['rate(node_cpu_seconds_total{mode="idle"}[1m])', 'percent'],
    ['1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes', 'percent'],
    ['node_memory_MemAvailable_bytes', 'bytes'],
    ['rate(node_network_receive_bytes_total[1m]) * 8', 'bits'],
    ['node_load1', 'plain'],
    ['count(node_systemd_unit_state == 1)', 'plain'],
  ])('%s is %s', (expr, unit) => expect(unitOf(expr)).toBe(unit));

  it('finds the place of a fault', () => {
    expect(place('line 2, column 20: the query ends')).toEqual({ line: 2, column: 20 });
    expect(place('1:9: parse error: unexpected "}"')).toEqual({ line: 1, column: 9 });
    expect(place('no place')).toBeNull();
    expect(faultOf(new QueryError('line 1, column 9: bad', { line: 1, column: 9 }))).toEqual([
      { line: 1, column: 9, message: 'bad' },
    ]);
    expect(faultOf(new Error('x'))).toEqual([]);
  });
});

describe('runbooks to start from', () => {
  it('are all there', () => {
    expect(starterFiles()).toEqual(STARTERS.map((s) => s.id).sort());
  });
});

describe('versions', () => {
  it('differ line by line', () => {
    expect(diff('a\nb\nc', 'a\nx\nc').map((l) => l.kind + l.text)).toEqual(['samea', 'outb', 'inx', 'samec']);
    expect(diff('', 'a').filter((l) => l.kind !== 'same').length).toBeGreaterThan(0);
  });
  it('leave out what is far from a change', () => {
    const lines = Array.from({ length: 30 }, (_, i) => `l${i}`);
    const shown = excerpt(diff(lines.join('\n'), [...lines.slice(0, 15), 'new', ...lines.slice(15)].join('\n')));
    expect(shown).toHaveLength(9);
    expect(shown[0]).toBeNull();
  });
});

describe('times of changes', () => {
  it('are said in words', () => {
    expect(hours({ days: ['mon', 'tue', 'wed'], start_minute: 1320, end_minute: 240 })).toBe(
      'Mon to Wed, 22:00 to 04:00 the next day',
    );
    expect(hours({ days: ['sat', 'mon'], start_minute: 0, end_minute: 60 })).toBe('Mon, Sat, 00:00 to 01:00');
    expect(cronWords('15 3 * * *')).toBe('daily at 03:15');
    expect(cronWords('*/5 * * * *')).toBe('every 5 min');
    expect(cronWords('0 0 1 1 *')).toBe('0 0 1 1 *');
  });
});

describe('stories', () => {
  const event = (seq: number, topic: string, data: Record<string, unknown> = {}) =>
    ({ seq, topic, data, at: '', subject: '', actor: '', actor_name: 'h', cause: null }) as unknown as Event;
  it('fold a crowd of one kind and leave the rest', () => {
    const events = [1, 2, 3, 4].map((n) => event(n, 'alert.fired')).concat(event(5, 'run.started'));
    expect(fold(events).map((f) => f.rest.length)).toEqual([3, 0]);
    expect(fold(events.slice(1)).map((f) => f.rest.length)).toEqual([0, 0, 0, 0]);
  });
  it('show no raw lists, sizes or ids', () => {
    expect(readable('["tcp 1", "tcp 2"] → nothing')).toBe('tcp 1, tcp 2 → nothing');
    const told = tell(
      named(event(1, 'item.changed', { name: 'a', attribute: 'team', after: 'team_1' }), new Map([['team_1', 'Data']])),
    );
    expect(told.text).toBe(': team is now Data');
    expect(tell(event(1, 'item.changed', { attribute: 'memory_bytes', after: 1073741824 })).text).toContain('1.0 GiB');
  });
});
