/** The server dies and comes back: the page says so, comes back by itself, and has missed nothing. */
import { expect, test } from '@playwright/test';
import { settled } from './lib';
import { PROGRAM, Server } from './server';

test.skip(PROGRAM === '', 'MAINSTAY_PROGRAM is not set');

test('the page outlives its server', async ({ browser, playwright }) => {
  test.setTimeout(120_000);
  const server = await Server.start('up');
  const context = await browser.newContext({ baseURL: server.url });
  const api = await playwright.request.newContext({ baseURL: server.url, extraHTTPHeaders: server.headers });
  const declare = async (title: string) => {
    const answer = await api.post('/api/v1/incidents', { data: { title, severity: 'sev3' } });
    expect(answer.ok(), await answer.text()).toBe(true);
  };
  try {
    await server.admit(context);
    const page = await context.newPage();
    await page.goto('/incidents');
    await settled(page);
    const badge = page.getByRole('button', { name: /^Event feed/ });
    await expect(badge).toHaveText(/Live/);
    await declare('Before the server died');
    await expect(page.getByText('Before the server died')).toBeVisible();

    // The code of the other pages is there ahead of time.
    await expect(page.locator('html')).toHaveAttribute('data-pages', 'loaded', { timeout: 30_000 });
    await server.kill();
    await expect(badge).toHaveText(/Reconnecting/);
    // What was read stays readable.
    await expect(page.getByText('Before the server died')).toBeVisible();

    // A page that was never open opens all the same, and so does the address itself, from what the browser keeps.
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Runbooks' }).click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Runbooks');
    await page.goto(`${server.url}/logs`);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Server not reachable');

    await server.launch();
    // Nobody presses a button.
    await expect(page.getByRole('heading', { level: 1 })).not.toHaveText('Server not reachable', { timeout: 30_000 });
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Incidents' }).click();
    await declare('After the server came back');
    await expect(badge).toHaveText(/Live/, { timeout: 30_000 });
    await expect(page.getByText('After the server came back')).toBeVisible({ timeout: 15_000 });
    await declare('And later');
    await expect(page.getByText('And later')).toBeVisible();
  } finally {
    await api.dispose();
    await context.close();
    await server.end();
  }
});
