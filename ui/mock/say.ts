/** How answers look. */
export type Answer = { status: number; body?: unknown };
export const ok = (body: unknown): Answer => ({ status: 200, body });
export const page = (list: unknown[]): Answer => ok({ items: list, next: null });
export const missing: Answer = {
  status: 404,
  body: { title: 'There is no such thing, or you may not see it', status: 404, detail: 'not there', type: '' },
};
