/** A signed-in page that fails on console errors, and what tests of many pages share. */
import { existsSync, readFileSync } from 'node:fs';
import { test as base, expect, type Page } from '@playwright/test';

export const PERSON = {
  name: 'Ada Berg',
  login: 'ada',
  password: process.env.MAINSTAY_PASSWORD ?? 'a horse that staples batteries',
};

function token(): string | null {
  const file = process.env.MAINSTAY_TOKEN_FILE;
  return file && existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}

/** Faults that the browser itself reports for answers that a page expects and shows. */
const EXPECTED = /status of (400|401|403|404|409|422)/;

export const test = base.extend<{ faults: string[] }>({
  // An administrator's token when there is one; else each test signs in, since a session's cookie turns as it is used.
  // biome-ignore lint/correctness/noEmptyPattern: the runner reads the argument's shape
  extraHTTPHeaders: async ({}, use) => {
    const bearer = token();
    await use(bearer ? { authorization: `Bearer ${bearer}` } : {});
  },
  page: async ({ page }, use) => {
    if (!token()) {
      const answer = await page.request.post('/api/v1/session', {
        data: { login: PERSON.login, password: PERSON.password },
      });
      expect(answer.ok(), 'signing in').toBe(true);
    }
    await use(page);
  },
  faults: [
    async ({ page }, use) => {
      const faults: string[] = [];
      page.on('pageerror', (error) => faults.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error' && !EXPECTED.test(message.text())) faults.push(message.text());
      });
      page.on('request', (request) => {
        if (request.url().includes('/api/v1/')) faults.push(...unknownParameters(request.method(), request.url()));
      });
      await use(faults);
      expect(faults, 'errors in the browser').toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** The parameters that each address of the API takes, by the description that the client is made from. */
const KNOWN = Object.entries(
  (
    JSON.parse(readFileSync(new URL('../openapi.json', import.meta.url), 'utf8')) as {
      paths: Record<string, Described>;
    }
  ).paths,
).map(([path, described]) => {
  const shared = described.parameters ?? [];
  const pattern = new RegExp(`^${path.replace(/\{[^}]+\}/g, '[^/]+')}$`);
  const names = (method: string) =>
    [...shared, ...(described[method as 'get']?.parameters ?? [])].filter((p) => p.in === 'query').map((p) => p.name);
  return { path, pattern, names };
});
interface Described {
  parameters?: { in: string; name: string }[];
  get?: { parameters?: { in: string; name: string }[] };
}

/** What a request asks by a name that the API does not know, and would refuse. */
export function unknownParameters(method: string, address: string): string[] {
  const url = new URL(address);
  // The exact address before one with a place for an id.
  const found = KNOWN.filter((k) => k.pattern.test(url.pathname)).sort(
    (a, b) => Number(a.path !== url.pathname) - Number(b.path !== url.pathname),
  )[0];
  if (!found) return [];
  const known = found.names(method.toLowerCase());
  return [...new Set(url.searchParams.keys())]
    .filter((name) => !known.includes(name.replace(/\[\]$/, '')) && !known.includes(name))
    .map((name) => `${method} ${found.path} is asked with ${name}`);
}

/** Waits until the page has its answer. */
export async function settled(page: Page) {
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await expect(page.locator('[aria-busy="true"]')).toHaveCount(0);
}

/** Nothing is wider than the window, and nothing runs over the edge of what it stands in. */
export async function noSidewaysScroll(page: Page) {
  const found = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const over = [...document.querySelectorAll<HTMLElement>('main .card, main .card > *, main td, main button')]
      .filter((e) => e.clientWidth > 0 && getComputedStyle(e).overflowX === 'visible')
      .filter((e) => getComputedStyle(e).display !== 'inline' && e.scrollWidth > e.clientWidth + 1)
      .map((e) => `${e.tagName.toLowerCase()}.${e.className} holds ${e.scrollWidth} px in ${e.clientWidth}`);
    return [...(scrollWidth > clientWidth ? [`the page is ${scrollWidth} px wide in ${clientWidth}`] : []), ...over];
  });
  expect(found, `at ${page.viewportSize()?.width} px`).toEqual([]);
}

/** The same at every width that the product is made for; a page is drawn anew, not read anew. */
export async function fitsEverywhere(page: Page) {
  const before = page.viewportSize();
  for (const width of [1440, 1024, 768, 390]) {
    await page.setViewportSize({ width, height: 900 });
    await noSidewaysScroll(page);
  }
  if (before) await page.setViewportSize(before);
}

/** The id of a host, from the list as people see it. */
export async function openFirstHost(page: Page) {
  await page.goto('/hosts');
  await page.getByRole('table', { name: 'Hosts' }).locator('tbody tr').first().click();
  await expect(page).toHaveURL(/\/hosts\/itm_/);
}
