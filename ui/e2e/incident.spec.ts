/** An incident in people's hands: declared, acknowledged, told about, resolved; its story grows as it happens. */
import { expect, noSidewaysScroll, settled, test } from './lib';

test('an incident is declared, acknowledged, commented and resolved', async ({ page }) => {
  const title = `Checkout does not answer ${Date.now()}`;
  await page.goto('/incidents');
  await page.getByRole('button', { name: 'Declare incident' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'What do people notice?' }).fill(title);
  await dialog.getByRole('button', { name: 'Declare and page' }).click();

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
  const story = page.getByRole('region', { name: 'Story' });
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
  await page.getByRole('dialog').getByRole('button', { name: 'Resolve' }).click();
  await expect(page.getByText('was open for')).toBeVisible();
});

test('a silence shows what falls silent before it is set', async ({ page }) => {
  await page.goto('/alerts');
  await page.getByRole('button', { name: 'Silence…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Which alerts' }).fill('alertname="NothingOfThatName"');
  await expect(dialog.getByRole('region', { name: 'Preview' })).toContainText(/Nothing that fires now matches|now,/);
  await dialog.getByRole('textbox', { name: 'Why' }).fill('A test of the browser');
  await dialog.getByRole('button', { name: /Silence for/ }).click();
  await expect(page.getByRole('region', { name: 'Silences' })).toContainText('NothingOfThatName');
  await page.getByRole('region', { name: 'Silences' }).getByRole('button', { name: 'End now' }).first().click();
});
