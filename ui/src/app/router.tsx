/** Every address and the page behind it; pages load when first opened. */
import type { QueryClient } from '@tanstack/react-query';
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router';
import { sessionQuery, setupQuery } from '@/api/session';
import { Boundary, NotFound } from './boundary';
import { exploreOf } from './graph';
import { Root, Shell } from './shell';

interface Context {
  queries: QueryClient;
}

const rootRoute = createRootRouteWithContext<Context>()({
  component: Root,
  errorComponent: Boundary,
  notFoundComponent: NotFound,
  validateSearch: (search: Record<string, unknown>) => search,
});

const setup = createRoute({
  getParentRoute: () => rootRoute,
  path: '/setup',
  component: lazyRouteComponent(() => import('@/slices/access/setup'), 'Setup'),
});

const signIn = createRoute({
  getParentRoute: () => rootRoute,
  path: '/sign-in',
  component: lazyRouteComponent(() => import('@/slices/access/signIn'), 'SignIn'),
});

/** Everything behind the sign-in. */
const inside = createRoute({
  getParentRoute: () => rootRoute,
  id: 'inside',
  component: Shell,
  errorComponent: Boundary,
  beforeLoad: async ({ context, location }) => {
    const session = await context.queries.ensureQueryData(sessionQuery);
    if (session) return;
    const { needed } = await context.queries.fetchQuery(setupQuery);
    if (needed) throw redirect({ to: '/setup' });
    throw redirect({ to: '/sign-in', search: { next: location.href } });
  },
});

/** The code of every page. */
export const PAGES: (() => Promise<unknown>)[] = [];

const page = <P extends string>(path: P, load: Parameters<typeof lazyRouteComponent>[0], name: string) => {
  PAGES.push(load);
  return createRoute({
    getParentRoute: () => inside,
    path,
    component: lazyRouteComponent(load as never, name as never),
    errorComponent: Boundary,
  });
};

const pages = [
  page('/', () => import('@/slices/incidents/now'), 'Now'),
  page('/incidents', () => import('@/slices/incidents/list'), 'Incidents'),
  page('/incidents/$id', () => import('@/slices/incidents/incident'), 'IncidentPage'),
  page('/alerts', () => import('@/slices/alerting/alerts'), 'Alerts'),
  page('/hosts', () => import('@/slices/fleet/hosts'), 'Hosts'),
  page('/hosts/$id', () => import('@/slices/fleet/host'), 'HostPage'),
  page('/services', () => import('@/slices/inventory/map'), 'Services'),
  page('/explore', () => import('@/slices/telemetry/metrics'), 'Metrics'),
  page('/logs', () => import('@/slices/telemetry/logs'), 'Logs'),
  page('/inventory', () => import('@/slices/inventory/list'), 'Inventory'),
  page('/items/$id', () => import('@/slices/inventory/item'), 'ItemPage'),
  page('/changes', () => import('@/slices/change/changes'), 'Changes'),
  page('/runbooks', () => import('@/slices/automation/runbooks'), 'Runbooks'),
  page('/runbooks/$id', () => import('@/slices/automation/runbook'), 'RunbookPage'),
  page('/runs', () => import('@/slices/automation/runs'), 'Runs'),
  page('/runs/$id', () => import('@/slices/automation/run'), 'RunPage'),
  page('/timeline', () => import('@/slices/access/timeline'), 'TimelinePage'),
  page('/demo', () => import('@/slices/demo/faults'), 'Faults'),
  page('/admin', () => import('./admin'), 'Admin'),
];

/** Where `graphLink` and `tableLink` of alert templates lead. */
const graph = createRoute({
  getParentRoute: () => inside,
  path: '/graph',
  beforeLoad: ({ search }) => {
    throw redirect({ to: '/explore', search: exploreOf(search) as never });
  },
});

const tree = rootRoute.addChildren([setup, signIn, inside.addChildren([...pages, graph])]);

export function makeRouter(queries: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { queries },
    defaultPreload: 'intent',
    defaultPreloadStaleTime: 0,
    scrollRestoration: true,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
