// Makes the pictures of the README from a demonstration of its own: starts `mainstay demo`, triggers a fault, answers it as a person would,
// and takes each page once. MAINSTAY_PROGRAM names the binary, CHROMIUM the browser; the pictures go to ../docs/images.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from '@playwright/test';

const program = process.env.MAINSTAY_PROGRAM ?? '../target/release/mainstay';
const out = process.argv[2] ?? '../docs/images';
const MOST_KB = 250;
const folder = mkdtempSync(join(tmpdir(), 'mainstay-pictures-'));
const token = join(folder, 'token');
const demo = spawn(program, ['demo', '--listen', '127.0.0.1:18730', '--admin-token-file', token], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const base = await new Promise((done, fail) => {
  let said = '';
  demo.once('exit', () => fail(new Error(`the demonstration ended: ${said}`)));
  demo.stdout.on('data', (text) => {
    said += text;
    const found = / is up at (\S+)/.exec(said);
    if (found) done(found[1]);
  });
});
const headers = { authorization: `Bearer ${readFileSync(token, 'utf8').trim()}`, 'content-type': 'application/json' };
const ask = async (method, path, body) => {
  const answer = await fetch(`${base}/api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
};
const until = async (what, read) => {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const found = await read();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((wake) => setTimeout(wake, 300));
  }
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
});

/** Signs in as a person, so that the pages speak to one. */
async function person(options) {
  const context = await browser.newContext({ baseURL: base, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  const answer = await page.request.post('/api/v1/session', {
    data: { login: 'demo', password: 'show-me-the-fleet' },
  });
  if (!answer.ok()) throw new Error(`signing in: ${answer.status()}`);
  return page;
}

async function picture(page, name, path, fullPage = false) {
  await page.goto(path);
  await page.locator('h1').first().waitFor();
  await page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'));
  // Charts are drawn from the store and then from what comes live.
  await page.waitForTimeout(Number(process.env.WAIT ?? 4000));
  const file = join(out, `${name}.png`);
  await page.screenshot({ path: file, fullPage });
  const kb = statSync(file).size / 1024;
  process.stdout.write(`${kb.toFixed(0).padStart(5)} KB  ${file}\n`);
  if (kb > MOST_KB) throw new Error(`${file} is larger than ${MOST_KB} KB`);
}

try {
  mkdirSync(out, { recursive: true });
  await until('the fleet', async () => (await ask('GET', 'agents?limit=100')).items.length >= 40);
  await ask('POST', 'demo/faults', { fault: 'database_stopped' });
  const incident = await until('the incident', async () =>
    (await ask('GET', 'incidents')).items.find(
      (i) => !i.resolved_at && i.title.includes('postgresql') && i.alert_count > 4,
    ),
  );
  const hosts = (await ask('GET', 'items?q=kind%3Dhost&limit=500')).items;
  const host = hosts.find((h) => h.name === 'shop-db-2') ?? hosts[0];

  const light = await person({ colorScheme: 'light', viewport: { width: 1440, height: 900 } });
  await picture(light, 'now', '/');
  await picture(light, 'host', `/hosts/${host.id}`);
  await picture(light, 'map', '/services');
  const dark = await person({ colorScheme: 'dark', viewport: { width: 1440, height: 1060 } });
  await picture(dark, 'incident', `/incidents/${incident.id}`);
  const phone = await person({
    colorScheme: 'light',
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
  });
  await picture(phone, 'phone', `/incidents/${incident.id}`);
} finally {
  await browser.close();
  demo.removeAllListeners('exit');
  demo.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
