/** Everything by keyboard: the palette, the walks, the sheet of keys, focus kept inside of dialogs. */
import { expect, settled, test } from './lib';

test('the palette reaches pages and gives the focus back', async ({ page }) => {
  await page.goto('/');
  await settled(page);
  await page.keyboard.press('Control+k');
  const field = page.getByRole('combobox', { name: /Find a host/ });
  await expect(field).toBeFocused();
  await field.fill('runbooks');
  await page.keyboard.press('Enter');
  await expect(page).toHaveURL(/\/runbooks$/);
  await expect(field).toHaveCount(0);
});

test('two keys walk to a page, one shows the sheet', async ({ page }) => {
  await page.goto('/');
  await settled(page);
  await page.keyboard.press('g');
  await page.keyboard.press('i');
  await expect(page).toHaveURL(/\/incidents/);
  await settled(page);
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
});

test('keys are silent while one types', async ({ page }) => {
  await page.goto('/hosts');
  await settled(page);
  await page.keyboard.press('/');
  const filter = page.getByRole('textbox', { name: 'Filter hosts' });
  await expect(filter).toBeFocused();
  await page.keyboard.type('gi');
  await expect(filter).toHaveValue('gi');
  await expect(page).toHaveURL(/q=gi/);
});

test('the first stop is the way past the navigation', async ({ page }) => {
  await page.goto('/');
  await settled(page);
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to the page' })).toBeFocused();
});

test('dark is kept over a reload', async ({ page }) => {
  await page.goto('/');
  await settled(page);
  await page.getByRole('button', { name: /^Menu of/ }).click();
  await page.getByRole('menuitem', { name: 'Dark' }).click();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
});
