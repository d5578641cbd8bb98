/** A viewer: every page opens without a request that the server forbids, and a button that may not be used says why. */
import { expect, test } from '@playwright/test';
import { settled } from './lib';
import { PROGRAM, Server } from './server';

test.skip(PROGRAM === '', 'MAINSTAY_PROGRAM is not set');

const PAGES = [
  '/',
  '/incidents',
  '/alerts',
  '/hosts',
  '/services',
  '/explore',
  '/logs',
  '/inventory',
  '/changes',
  '/changes?tab=times',
  '/runbooks',
  '/runbooks/new',
  '/runs',
  '/timeline',
  ...['people', 'teams', 'tokens', 'agents', 'channels', 'rules', 'server', 'audit'].map((tab) => `/admin?tab=${tab}`),
];

test('a viewer is forbidden nothing that the pages ask for', async ({ browser, playwright }) => {
  test.setTimeout(180_000);
  const server = await Server.start('up');
  const api = await playwright.request.newContext({ baseURL: server.url, extraHTTPHeaders: server.headers });
  const post = async (path: string, data: object) => {
    const answer = await api.post(path, { data });
    expect(answer.ok(), await answer.text()).toBe(true);
    return answer.json();
  };
  const account = await post('/api/v1/service-accounts', { name: 'viewer' });
  await post(`/api/v1/service-accounts/${account.id}/grants`, { role: 'viewer' });
  const { token } = await post('/api/v1/tokens', { name: 'viewer', owner: account.id });
  const incident = await post('/api/v1/incidents', { title: 'Slow', severity: 'sev3' });
  const context = await browser.newContext({
    baseURL: server.url,
    extraHTTPHeaders: { authorization: `Bearer ${token}` },
    viewport: { width: 1440, height: 900 },
  });
  try {
    const page = await context.newPage();
    const refused: string[] = [];
    page.on('response', (r) => [401, 403].includes(r.status()) && refused.push(`${r.status()} ${r.url()}`));
    page.on('console', (m) => m.type() === 'error' && refused.push(m.text()));
    await expect
      .poll(async () => (await (await api.get('/api/v1/items?q=kind%3Dhost')).json()).items.length, { timeout: 30_000 })
      .toBeGreaterThan(0);
    const host = (await (await api.get('/api/v1/items?q=kind%3Dhost')).json()).items[0].id;
    for (const path of [...PAGES, `/incidents/${incident.id}`, `/hosts/${host}`, `/items/${host}`]) {
      await page.goto(path);
      await settled(page);
    }
    await page.waitForLoadState('networkidle', { timeout: 2000 }).catch(() => undefined);
    expect(refused).toEqual([]);

    await page.goto(`/incidents/${incident.id}`);
    const button = page.getByRole('button', { name: 'Acknowledge' }).first();
    await expect(button).toHaveAttribute('aria-disabled', 'true');
    await button.hover();
    await expect(page.getByRole('tooltip')).toContainText('incidents.write');
    await page.goto('/admin?tab=server');
    await expect(page.getByRole('region', { name: 'Snapshots' })).toContainText('snapshots.read');

    // On a phone, too, it stands whether what is shown is live.
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto('/');
    await settled(page);
    await expect(page.getByRole('button', { name: /^Event feed/ })).toHaveText(/Live/);
  } finally {
    await api.dispose();
    await context.close();
    await server.end();
  }
});
