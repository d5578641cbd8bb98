/** An incident in people's hands: declared, acknowledged, told about, resolved; its story grows as it happens. */
import { expect, noSidewaysScroll, settled, test } from './lib';

test('an incident is declared, acknowledged, commented and resolved', async ({ page }) => {
  const title = `Checkout does not answer ${Date.now()}`;
  await page.goto('/incidents');
  await page.getByRole('button', { name: 'Declare incident' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Title' }).fill(title);
  await dialog.getByRole('button', { name: 'Declare incident and page' }).click();

  await expect(page).toHaveURL(/\/incidents\/inc_/);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(title);
  // On a phone the verb is within reach of a thumb, and large enough for one.
  await page.setViewportSize({ width: 390, height: 844 });
  const thumb = await page.getByRole('button', { name: 'Acknowledge' }).boundingBox();
  expect(thumb?.height).toBeGreaterThanOrEqual(44);
  expect((thumb?.y ?? 0) + (thumb?.height ?? 0)).toBeGreaterThan(780);
  await page.getByRole('button', { name: 'Acknowledge' }).click();
  await page.setViewportSize({ width: 1440, height: 900 });
  await expect(page.getByText('acknowledged by you')).toBeVisible();
  const story = page.getByRole('region', { name: 'Timeline' });
  await expect(story).toContainText(/acknowledged/);

  await page.getByRole('button', { name: 'Add update' }).click();
  await page.getByRole('dialog').getByRole('textbox').fill('The database is slow; looking at its disk.');
  await page.getByRole('dialog').getByRole('button', { name: 'Add update' }).click();
  await expect(story).toContainText('looking at its disk');

  await page.setViewportSize({ width: 390, height: 844 });
  await settled(page);
  await noSidewaysScroll(page);

  await page.getByRole('button', { name: 'Resolve' }).click();
  await page.getByRole('dialog').getByRole('textbox').fill('Disk replaced');
  await page.getByRole('dialog').getByRole('button', { name: 'Resolve incident' }).click();
  await expect(page.locator('.head').getByText('Resolved')).toBeVisible();

  // Reopened, every part of the page says that it is open.
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.getByRole('button', { name: 'Reopen' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Reopen incident' }).click();
  await expect(page.locator('.head').getByText('Resolved')).toHaveCount(0);
  await expect(page.locator('.head').getByText('reopened once')).toBeVisible();
  await expect(page.locator('.head').getByText('Unacknowledged')).toBeVisible();

  // People say its number; the number is an address too.
  const number = (await page.getByText(/^inc \d+$/).textContent())?.replace('inc ', '') ?? '';
  await page.goto(`/incidents/${number}`);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(title);
  await page.goto('/incidents/999999');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('There is no incident 999999');
});

test('a silence shows the matching alerts before it is set', async ({ page }) => {
  await page.goto('/alerts');
  await page.getByRole('button', { name: 'Silence…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Matchers' }).fill('alertname="NothingOfThatName"');
  await expect(dialog.getByRole('region', { name: 'Preview' })).toContainText(/No alert firing now matches|now,/);
  await dialog.getByRole('textbox', { name: 'Reason' }).fill('A test of the browser');
  await dialog.getByRole('button', { name: /Silence for/ }).click();
  await expect(page.getByRole('region', { name: 'Silences' })).toContainText('NothingOfThatName');
  await page.getByRole('region', { name: 'Silences' }).getByRole('button', { name: 'End now' }).first().click();
});
