/** Every page: shows its answer, without errors or sideways scroll, light and dark, on a desk and on a phone, and to everybody. */
import AxeBuilder from '@axe-core/playwright';
import { expect, fitsEverywhere, noSidewaysScroll, openFirstHost, settled, test } from './lib';

const PAGES: [string, string][] = [
  ['Now', '/'],
  ['Incidents', '/incidents?state=all'],
  ['Alerts', '/alerts'],
  ['Hosts', '/hosts'],
  ['Services', '/services'],
  ['Metrics', '/explore'],
  ['a metric', `/explore?expr=${encodeURIComponent('rate(node_cpu_seconds_total{mode="user"}[1m])')}`],
  ['Logs', '/logs'],
  ['Inventory', '/inventory'],
  ['Changes', '/changes'],
  ['Freezes and windows', '/changes?tab=times'],
  ['Runbooks', '/runbooks'],
  ['a new runbook', '/runbooks/new'],
  ['Runs', '/runs'],
  ['the map as a table', '/services?view=table'],
  ['Timeline', '/timeline'],
  ...['people', 'teams', 'tokens', 'agents', 'channels', 'rules', 'server', 'audit'].map((tab): [string, string] => [
    `Admin, ${tab}`,
    `/admin?tab=${tab}`,
  ]),
];

for (const colorScheme of ['light', 'dark'] as const) {
  for (const width of [1440, 390]) {
    test.describe(`${colorScheme}, ${width} px`, () => {
      test.use({ colorScheme, viewport: { width, height: width === 390 ? 844 : 900 } });
      // One page for all of them: most of a page's cost is the browser's, not ours.
      test('every page', async ({ page }) => {
        test.setTimeout(180_000);
        for (const [name, path] of PAGES) {
          await test.step(name, async () => {
            await page.goto(path);
            await settled(page);
            await expect(page.locator('html')).toHaveAttribute('data-theme', colorScheme);
            // The look does not change how wide things are: all widths once.
            await (width === 1440 && colorScheme === 'light' ? fitsEverywhere(page) : noSidewaysScroll(page));
            // The colours of dark and the shapes of the phone have each been looked at by then.
            if (width === 390 && colorScheme === 'dark') return;
            const found = await new AxeBuilder({ page })
              .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'])
              .analyze();
            expect(
              found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`),
              name,
            ).toEqual([]);
          });
        }
      });
    });
  }
}

test('a host and what is known of it fit every width', async ({ page }) => {
  await openFirstHost(page);
  const host = page.url();
  const tabs = ['overview', 'processes', 'services', 'network', 'disks', 'packages', 'certificates', 'logs', 'changes'];
  for (const address of [...tabs.map((tab) => `${host}?tab=${tab}`), host.replace('/hosts/', '/items/')]) {
    await test.step(address, async () => {
      await page.goto(address);
      await settled(page);
      await fitsEverywhere(page);
    });
  }
});

test('where there is little room the navigation waits behind a button', async ({ page }) => {
  await page.setViewportSize({ width: 768, height: 900 });
  await page.goto('/');
  await settled(page);
  await expect(page.getByRole('navigation', { name: 'Main' })).toHaveCount(0);
  await page.getByRole('button', { name: 'Menu', exact: true }).click();
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Runbooks' }).click();
  await expect(page).toHaveURL(/\/runbooks$/);
  await expect(page.getByRole('dialog')).toHaveCount(0);
});

test('an address without a page says so', async ({ page }) => {
  await page.goto('/no/such/page');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Page not found');
});

test('a thing that is not there says so, and the frame stays', async ({ page }) => {
  await page.goto('/incidents/inc_00000000000000000000000000000000');
  await expect(page.getByRole('alert')).toBeVisible();
  await expect(page.getByRole('navigation', { name: 'Main' })).toBeVisible();
  await fitsEverywhere(page);
});

test('a query that cannot be read is marked where it fails', async ({ page }) => {
  await page.goto('/explore');
  await page.getByRole('textbox', { name: 'PromQL query' }).fill('rate(node_load1[1m]');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Invalid query');
  await expect(page.getByRole('list', { name: 'Faults' })).toContainText(/\d+:\d+/);
});
