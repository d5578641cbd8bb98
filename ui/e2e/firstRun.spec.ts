/** The first minute: the one-time link, the first administrator, out and in again. */
import { expect, test } from '@playwright/test';
import { PERSON } from './lib';

const link = process.env.MAINSTAY_SETUP_URL;

test('the one-time link makes the administrator, who signs out and in', async ({ page }) => {
  test.skip(!link, 'MAINSTAY_SETUP_URL is not set: the server has an administrator already');
  await page.goto(link ?? '');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Create the administrator');
  await page.getByRole('textbox', { name: 'Your name' }).fill(PERSON.name);
  await page.getByRole('textbox', { name: 'Login' }).fill(PERSON.login);
  await page.getByLabel('Password', { exact: false }).first().fill(PERSON.password);
  await page.getByRole('button', { name: 'Create administrator' }).click();
  await expect(page).toHaveURL(/\/hosts/);
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();

  await page.getByRole('button', { name: `Menu of ${PERSON.name}` }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sign in');

  await page.getByRole('textbox', { name: 'Login' }).fill(PERSON.login);
  await page.getByLabel('Password', { exact: false }).first().fill('wrong, and long enough');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toBeVisible();

  await page.getByLabel('Password', { exact: false }).first().fill(PERSON.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('navigation', { name: 'Main' })).toBeVisible();
});

test('a page behind the sign-in asks for it, and leads back', async ({ page }) => {
  await page.goto('/alerts?view=muted');
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Sign in');
  await expect(page).toHaveURL(/next=/);
});
