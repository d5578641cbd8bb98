/** The one way to the server: typed requests, the CSRF token on every write, and problems as errors. */
import createClient, { type Middleware } from 'openapi-fetch';
import type { paths } from './schema';

export interface FieldError {
  field: string;
  message: string;
}

/** RFC 9457, as the server speaks it. */
export class ProblemError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly type: string,
    readonly errors: FieldError[] = [],
    readonly requestId: string | null = null,
  ) {
    super(detail || title);
    this.name = 'ProblemError';
  }
}

let csrf = '';
export function setCsrf(token: string) {
  csrf = token;
}

export const guard: Middleware = {
  onRequest({ request }) {
    if (csrf && request.method !== 'GET' && request.method !== 'HEAD') request.headers.set('x-csrf-token', csrf);
    return request;
  },
};

/** What openapi-fetch answers. Paths, parameters and bodies are checked against the server's description; the shape read is the caller's. */
type Answer = { data?: unknown; error?: unknown; response: Response };
export const api = createClient<paths>({ baseUrl: window.location.origin, credentials: 'same-origin' });
api.use(guard);

/** The body of an answer, or a {@link ProblemError}. */
export async function body<T>(answer: Promise<Answer>): Promise<T> {
  let result: Answer;
  try {
    result = await answer;
  } catch (cause) {
    throw unreachable(cause);
  }
  if (!result.response.ok) throw problem(result.response, result.error);
  return result.data as T;
}

export function unreachable(cause: unknown): ProblemError {
  if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
  return new ProblemError(
    0,
    'Server not reachable',
    'Check that the server runs and that this device can reach it.',
    'offline',
  );
}

export function problem(response: Response, error: unknown): ProblemError {
  const p = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  const text = (key: string, otherwise: string) => (typeof p[key] === 'string' ? (p[key] as string) : otherwise);
  return new ProblemError(
    response.status,
    text('title', `The server answered ${response.status}`),
    text('detail', typeof error === 'string' ? error.slice(0, 300) : ''),
    text('type', ''),
    Array.isArray(p.errors) ? (p.errors as FieldError[]) : [],
    response.headers.get('x-request-id'),
  );
}

/** All pages of a list, up to a bound; for lists that are searched and sorted on the page. */
export async function everyPage<T>(
  read: (cursor: string | undefined) => Promise<{ items: T[]; next?: string | null }>,
  most = 5000,
): Promise<T[]> {
  const all: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await read(cursor);
    all.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor && all.length < most);
  return all;
}

/** The same as one page: `next` says whether there is more than `most`, so that a count can say "at least". */
export async function wholeList<T>(
  read: (cursor: string | undefined) => Promise<{ items: T[]; next?: string | null }>,
  most = 5000,
): Promise<{ items: T[]; next: string | null }> {
  const items: T[] = [];
  let next: string | null = null;
  do {
    const page = await read(next ?? undefined);
    items.push(...page.items);
    next = page.next ?? null;
  } while (next && items.length < most);
  return { items, next };
}
