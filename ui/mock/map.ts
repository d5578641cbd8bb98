/** Who calls whom, and the items by selector. */
import { items, type MockItem, service } from './data.ts';
import { type Answer, ok } from './say.ts';

const CALLS: [string, string, string][] = [
  ['web-01', 'checkout.service', 'db-01'],
  ['web-02', 'checkout.service', 'db-01'],
  ['web-03', 'checkout.service', 'db-01'],
  ['web-04', 'checkout.service', 'db-01'],
];
export const edges = () => [
  ...CALLS.flatMap(([web, svc, db]) => [
    { from: service(web, svc).id, to: service(db, 'postgresql.service').id, kind: 'connects_to', sources: ['agent'] },
    {
      from: service(web, svc).id,
      to: service('cache-01', 'redis.service').id,
      kind: 'connects_to',
      sources: ['agent'],
    },
    { from: service(web, 'nginx.service').id, to: service(web, svc).id, kind: 'connects_to', sources: ['agent'] },
  ]),
  ...['edge-01', 'edge-02'].flatMap((e) =>
    ['web-01', 'web-02', 'web-03', 'web-04'].map((w) => ({
      from: service(e, 'haproxy.service').id,
      to: service(w, 'nginx.service').id,
      kind: 'connects_to',
      sources: ['agent'],
    })),
  ),
  {
    from: service('db-02', 'postgresql.service').id,
    to: service('db-01', 'postgresql.service').id,
    kind: 'depends_on',
    sources: ['manual'],
  },
];

export function map(): Answer {
  const links = edges();
  const nodes = items.filter((i) => links.some((e) => e.from === i.id || e.to === i.id));
  return ok({
    nodes: nodes.map((i) => ({
      id: i.id,
      kind: i.kind,
      name: i.name,
      host: i.parent,
      host_name: items.find((h) => h.id === i.parent)?.name ?? null,
      team: null,
      tags: {},
    })),
    edges: links,
    is_cut: false,
  });
}

export function select(q: string): MockItem[] {
  const words = q.split(/\s+/).filter(Boolean);
  return items.filter((item) =>
    words.every((word) => {
      const [key = '', value = ''] = word.split(/=(.*)/s);
      if (key === 'kind') return item.kind === value;
      if (key === 'name') return new RegExp(`^${value.replaceAll('*', '.*')}$`).test(item.name);
      if (key.startsWith('tag:')) return (item.tags as Record<string, string>)[key.slice(4)] === value;
      if (key === 'on') return items.find((i) => i.id === item.parent)?.name === value.replaceAll('"', '');
      return item.name.includes(word);
    }),
  );
}
