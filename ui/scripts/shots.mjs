// Takes pictures of pages, light and dark, 1440, 1024, 768 and 390 px wide, to be looked at:
// node scripts/shots.mjs BASE OUT [name=path …]; SHOTS=light,dark,tablet,tablet-dark,upright,upright-dark,phone,phone-dark
// chooses.
import { chromium } from '@playwright/test';

const [base, out, ...wanted] = process.argv.slice(2);
const kinds = (process.env.SHOTS ?? 'light,dark,phone').split(',');
const token = process.env.MAINSTAY_TOKEN;
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
for (const kind of kinds) {
  const width = { phone: 390, upright: 768, tablet: 1024 }[kind.replace('-dark', '')] ?? 1440;
  const context = await browser.newContext({
    viewport: { width, height: { 390: 844, 768: 1024, 1024: 768 }[width] ?? 900 },
    colorScheme: kind.endsWith('dark') ? 'dark' : 'light',
    extraHTTPHeaders: token ? { authorization: `Bearer ${token}` } : {},
    reducedMotion: 'reduce',
  });
  for (const pair of wanted) {
    const [name, path, click] = pair.split('=');
    const page = await context.newPage();
    page.on(
      'console',
      (message) => message.type() === 'error' && process.stdout.write(`${name} ${kind}: ${message.text()}\n`),
    );
    page.on('pageerror', (error) => process.stdout.write(`${name} ${kind}: ${error.message}\n`));
    await page.goto(base + path.replaceAll('~', '='));
    await page.waitForLoadState('load');
    await page
      .locator('h1')
      .first()
      .waitFor({ timeout: 20_000 })
      .catch(() => {});
    await page
      .waitForFunction(() => !document.querySelector('[aria-busy="true"]'), null, { timeout: 10_000 })
      .catch(() => {});
    await page.waitForTimeout(Number(process.env.WAIT ?? 1500));
    if (click) {
      await page.getByRole('button', { name: click }).first().click();
      await page.waitForTimeout(700);
    }
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) process.stdout.write(`${name} ${kind}: ${wide} px wide\n`);
    await page.screenshot({ path: `${out}/${name}-${kind}.png`, fullPage: process.env.FULL !== 'no' });
    await page.close();
  }
  await context.close();
}
await browser.close();
