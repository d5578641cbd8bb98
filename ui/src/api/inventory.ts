/** Items, their relations and history, and the service map. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { api, body, everyPage, wholeList } from './client';
import type { Event, Labels, Page } from './types';

export interface AttributeValue {
  value: unknown;
  source: string;
  at: string;
  /** What was observed while a manual value stands and differs. */
  observed?: { value: unknown; source: string; at: string } | null;
}

export interface Item {
  id: string;
  kind: string;
  key: string;
  name: string;
  name_is_manual: boolean;
  parent: string | null;
  state: 'active' | 'retired';
  team: string | null;
  owner: string | null;
  tags: Labels;
  own_tags: Labels;
  source: string;
  attributes: Record<string, AttributeValue>;
  created_at: string;
  changed_at: string;
  observed_at: string;
  retired_at: string | null;
  version: number;
}

export interface Brief {
  id: string;
  kind: string;
  name: string;
  state: 'active' | 'retired';
  parent: string | null;
}

export interface ItemDetail extends Item {
  children: Brief[];
  conflicts: { other: string; key: string; value: string }[];
  identity: { kind: string; value: string }[];
}

export interface Relation {
  from: Brief;
  kind: string;
  to: Brief;
  source: string;
  created_at: string;
}

export interface Impact {
  item: Brief;
  affected: { item: Brief; distance: number; path: { from: string; kind: string; to: string }[] }[];
  counts: Record<string, number>;
}

export interface Package {
  name: string;
  version: string;
  architecture: string;
}

export interface MapNode {
  id: string;
  kind: string;
  name: string;
  host: string | null;
  host_name: string | null;
  team: string | null;
  tags: Labels;
}

export interface MapEdge {
  from: string;
  to: string;
  kind: string;
  sources: string[];
}

export interface ServiceMap {
  nodes: MapNode[];
  edges: MapEdge[];
  is_cut: boolean;
}

const at = (id: string) => ({ params: { path: { id } } });

export const itemsQuery = (q: string, limit = 200) =>
  queryOptions({
    queryKey: ['items', 'list', q, limit],
    queryFn: () => body<Page<Item>>(api.GET('/api/v1/items', { params: { query: { q: q || undefined, limit } } })),
    placeholderData: keepPreviousData,
  });

const everyItem = (q: string) => () =>
  wholeList(
    (cursor) => body<Page<Item>>(api.GET('/api/v1/items', { params: { query: { q, limit: 500, cursor } } })),
    20_000,
  );

/** Every host, and every service: a count of some of them would be wrong. */
export const hostItemsQuery = queryOptions({ queryKey: ['items', 'hosts'], queryFn: everyItem('kind=host') });
export const serviceItemsQuery = queryOptions({ queryKey: ['items', 'services'], queryFn: everyItem('kind=service') });

export const itemQuery = (id: string) =>
  queryOptions({
    queryKey: ['items', 'one', id],
    queryFn: () => body<ItemDetail>(api.GET('/api/v1/items/{id}', at(id))),
  });

export const relationsQuery = (id: string) =>
  queryOptions({
    queryKey: ['items', 'relations', id],
    queryFn: () => body<Relation[]>(api.GET('/api/v1/items/{id}/relations', at(id))),
  });

export const historyQuery = (id: string) =>
  queryOptions({
    queryKey: ['items', 'history', id],
    queryFn: () => body<Page<Event>>(api.GET('/api/v1/items/{id}/history', at(id))),
  });

export const impactQuery = (id: string) =>
  queryOptions({
    queryKey: ['items', 'impact', id],
    queryFn: () => body<Impact>(api.GET('/api/v1/items/{id}/impact', at(id))),
  });

export const mapQuery = queryOptions({
  queryKey: ['map'],
  queryFn: () => body<ServiceMap>(api.GET('/api/v1/map')),
});

export interface ItemPatch {
  name?: string;
  team?: string | null;
  owner?: string | null;
  tags?: Labels;
  attributes?: Record<string, unknown>;
}

export const patchItem = (id: string, patch: ItemPatch) =>
  body<Item>(api.PATCH('/api/v1/items/{id}', { ...at(id), body: patch }));

export function attribute(item: Item, name: string): unknown {
  return item.attributes[name]?.value;
}

export function attributeText(item: Item, name: string): string {
  const value = attribute(item, name);
  return value === undefined || value === null ? '' : String(value);
}

export function attributeNumber(item: Item, name: string): number | null {
  const value = attribute(item, name);
  return typeof value === 'number' ? value : typeof value === 'string' && value !== '' ? Number(value) : null;
}

export const packagesQuery = (id: string) =>
  queryOptions({
    queryKey: ['items', 'packages', id],
    queryFn: () =>
      everyPage((cursor) =>
        body<Page<Package>>(
          api.GET('/api/v1/items/{id}/packages', { params: { path: { id }, query: { limit: 500, cursor } } }),
        ),
      ),
  });

/** A socket that a host listens on, with its owner as far as it is known. */
export interface Listener {
  protocol: string;
  address: string;
  port: number;
  process: string | null;
  service: Brief | null;
}

export const listenersQuery = (id: string) =>
  queryOptions({
    queryKey: ['items', 'listeners', id],
    queryFn: () => body<Listener[]>(api.GET('/api/v1/items/{id}/listeners', at(id))),
  });

export const createItem = (item: { kind: string; name: string; parent?: string; team?: string; tags?: Labels }) =>
  body<Item>(api.POST('/api/v1/items', { body: item }));
export const retireItem = (id: string) => body<void>(api.DELETE('/api/v1/items/{id}', at(id)));
export type RelationKind = 'runs_on' | 'depends_on' | 'connects_to' | 'part_of';
export const createRelation = (from: string, relation: { kind: RelationKind; to: string }) =>
  body<unknown>(api.POST('/api/v1/items/{id}/relations', { ...at(from), body: relation }));
export const deleteRelation = (from: string, kind: RelationKind, to: string) =>
  body<void>(api.DELETE('/api/v1/items/{id}/relations/{kind}/{to}', { params: { path: { id: from, kind, to } } }));
