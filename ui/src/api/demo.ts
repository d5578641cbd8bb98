/**
 * Faults of the demonstration. Only a server that was started by `mainstay demo` has these addresses, so its general description
 * does not name them.
 */
import { queryOptions } from '@tanstack/react-query';
import createClient from 'openapi-fetch';
import { body, guard } from './client';

export interface DemoFault {
  fault: string;
  title: string;
  description: string;
  /** What mends it. */
  remedy: string;
  host: string;
  is_active: boolean;
  since: string | null;
}

interface DemoPaths {
  '/api/v1/demo/faults': {
    get: { responses: { 200: { content: { 'application/json': DemoFault[] } } } };
    post: {
      requestBody: { content: { 'application/json': { fault: string } } };
      responses: { 200: { content: { 'application/json': DemoFault } } };
    };
  };
  '/api/v1/demo/faults/{fault}': {
    delete: { parameters: { path: { fault: string } }; responses: { 204: { content: never } } };
  };
}

const api = createClient<DemoPaths>({ baseUrl: window.location.origin, credentials: 'same-origin' });
api.use(guard);

export const faultsQuery = queryOptions({
  queryKey: ['demo', 'faults'],
  queryFn: () => body<DemoFault[]>(api.GET('/api/v1/demo/faults')),
  refetchInterval: 2000,
});

export const triggerFault = (fault: string) => body<DemoFault>(api.POST('/api/v1/demo/faults', { body: { fault } }));

export const undoFault = (fault: string) =>
  body<void>(api.DELETE('/api/v1/demo/faults/{fault}', { params: { path: { fault } } }));
