/** This machine, a minute after the start: live charts, and what is on it. */
import { expect, noSidewaysScroll, openFirstHost, settled, test } from './lib';

test('a host page shows charts that live', async ({ page }) => {
  await openFirstHost(page);
  await settled(page);
  const processors = page.getByRole('region', { name: 'CPU', exact: true });
  await expect(page.locator('[data-live="true"]')).toBeVisible();
  await expect(processors.locator('canvas')).toBeVisible();
  await expect(processors).toContainText(/\d+ %/);
  // The label of the drawing carries the newest value: it changes as samples come.
  const drawing = page.getByRole('region', { name: 'Network in' }).getByRole('img');
  const before = await drawing.getAttribute('aria-label');
  await expect.poll(() => drawing.getAttribute('aria-label'), { timeout: 20_000 }).not.toBe(before);
});

test('a host page has services, ports, disks, packages, logs', async ({ page }) => {
  await openFirstHost(page);
  for (const [tab, region] of [
    ['Services', 'Services'],
    ['Network', 'Listening ports'],
    ['Disks', 'Disks'],
    ['Packages', 'Packages'],
    ['Certificates', 'Certificates'],
    ['Logs', 'Logs, last hour'],
    ['Processes', 'Processes'],
    ['Changes', 'Recent changes'],
  ] as const) {
    await page.getByRole('navigation', { name: 'Sections' }).getByRole('link', { name: tab }).click();
    await expect(page.getByRole('region', { name: region })).toBeVisible();
    await settled(page);
    await expect(page.getByRole('alert')).toHaveCount(0);
  }
});

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 844 } });
  test('a host page fits', async ({ page }) => {
    await openFirstHost(page);
    await settled(page);
    await noSidewaysScroll(page);
  });
});

test('adding a host gives one command to copy', async ({ page }) => {
  await page.goto('/hosts?add=yes');
  await page.getByRole('button', { name: 'Create join command' }).click();
  await expect(page.getByText(/join\.sh/)).toBeVisible();
  // This server listens on a loopback address: no other host could use the command, and the page says so and how to mend it.
  await expect(page.getByText(/which other machines cannot reach/).first()).toBeVisible();
  await expect(page.getByText('public_url =').first()).toBeVisible();
  await expect(page.getByText('Waiting for the host to connect')).toBeVisible();
});
