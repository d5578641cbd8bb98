/** The demonstration: forty hosts, a fault from the page, an incident that gathers what follows from it, and its end. */
import { expect, test } from '@playwright/test';
import { settled } from './lib';
import { PROGRAM, Server } from './server';

test.skip(PROGRAM === '', 'MAINSTAY_PROGRAM is not set');

test('a fault of the demonstration becomes one incident, and ends with it', async ({ browser }) => {
  test.setTimeout(240_000);
  const demo = await Server.start('demo', ['--history-days', '1']);
  const context = await browser.newContext({ baseURL: demo.url, viewport: { width: 1440, height: 900 } });
  try {
    await demo.admit(context);
    const page = await context.newPage();
    await page.goto('/hosts');
    await settled(page);
    await expect(page.getByText('40 hosts', { exact: true })).toBeVisible({ timeout: 30_000 });

    await page.getByRole('link', { name: 'Demonstration' }).click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('No active faults in the simulated fleet');
    await page.getByRole('button', { name: "Trigger: Stop the shop's database" }).click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('1 active fault in the simulated fleet');

    await page.getByRole('link', { name: 'Now' }).click();
    const row = page.getByRole('table', { name: 'Incidents' }).getByRole('row').filter({ hasText: 'postgresql' });
    await expect(row).toBeVisible({ timeout: 30_000 });
    await row.click();
    await expect(page.getByRole('heading', { level: 1 })).toContainText('postgresql is down on shop-db-1');
    await expect(page.getByRole('region', { name: 'Runbooks' })).toContainText('Restart a service');
    await expect(page.getByRole('region', { name: 'Impact' })).toContainText('shop-app', { timeout: 30_000 });

    const incident = new URL(page.url()).pathname;
    await page.getByRole('link', { name: 'Demonstration' }).click();
    await page.getByRole('button', { name: "Revert: Stop the shop's database" }).click();
    await page.goto(incident);
    await expect(page.getByRole('region', { name: 'Timeline' })).toContainText('ServiceDown resolved', {
      timeout: 60_000,
    });
  } finally {
    await context.close();
    await demo.end();
  }
});
