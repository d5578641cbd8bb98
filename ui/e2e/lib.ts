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
      await use(faults);
      expect(faults, 'errors in the browser').toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** Waits until the page has its answer. */
export async function settled(page: Page) {
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await expect(page.locator('[aria-busy="true"]')).toHaveCount(0);
}

export async function noSidewaysScroll(page: Page) {
  const [wide, seen] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  expect(wide, 'the page is wider than its window').toBeLessThanOrEqual(seen ?? 0);
}

/** The id of a host, from the list as people see it. */
export async function openFirstHost(page: Page) {
  await page.goto('/hosts');
  await page.getByRole('table', { name: 'Hosts' }).locator('tbody tr').first().click();
  await expect(page).toHaveURL(/\/hosts\/itm_/);
}
