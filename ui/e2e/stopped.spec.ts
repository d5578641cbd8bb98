/** A watched service stops: the page tells of it by itself, the runbook is run in the page, and the incident ends with its story. */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type APIRequestContext, expect, type Page, test } from '@playwright/test';
import { noSidewaysScroll } from './lib';
import { PROGRAM, Server, scratch } from './server';

const folder = scratch();
const name = `shop${process.pid}`;
const program = join(folder, name);
let service: ChildProcess;

test.skip(PROGRAM === '', 'MAINSTAY_PROGRAM is not set');

test.beforeAll(() => {
  copyFileSync('/bin/sleep', program);
  service = spawn(program, ['1000'], { stdio: 'ignore' });
});

test.afterAll(async () => {
  service.kill('SIGKILL');
  // What the runbook started has left its number.
  const left = join(folder, 'pid');
  if (existsSync(left)) process.kill(Number(readFileSync(left, 'utf8')), 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const TEXT = `name: Start ${name}
risk: low
inputs:
  service: { pattern: "[a-z0-9]+" }
triggers:
  - alert: ServiceDown
    inputs: { service: "{{ alert.labels.name }}" }
    mode: ask
steps:
  - name: Look
    command: [sh, -c, "echo looking at $INPUT_SERVICE"]
  - name: Start
    script: setsid '${program}' 1000 >/dev/null 2>&1 </dev/null & echo $! > '${folder}/pid'
  - name: Up again
    wait: { query: 'mainstay_service_up{name="{{ inputs.service }}"} == 1', every: 1s }
    timeout: 1m
`;

/** Watches the service closely, by the settings of the agent, and waits until it is seen. */
async function watch(api: APIRequestContext) {
  let agent = '';
  await expect
    .poll(
      async () => {
        const first = (await (await api.get('/api/v1/agents')).json()).items[0];
        agent = first?.id ?? '';
        return first?.presence;
      },
      { timeout: 30_000 },
    )
    .toBe('connected');
  const path = `/api/v1/agents/${agent}/config`;
  const config = await (await api.get(path)).json();
  const put = await api.put(path, { data: { ...config, watched_services: [name] } });
  expect(put.ok(), await put.text()).toBe(true);
  await expect
    .poll(
      async () => {
        const query = encodeURIComponent(`mainstay_service_up{name="${name}"}`);
        return (await (await api.get(`/api/v1/query?query=${query}`)).json()).data.result[0]?.value[1];
      },
      { timeout: 30_000 },
    )
    .toBe('1');
}

/** Only this one rule: what else is wrong with the machine under the test would join the incident. */
const RULES = `groups:
  - name: story
    rules:
      - alert: ServiceDown
        expr: mainstay_service_up{name="${name}"} == 0
        labels: { severity: critical }
        annotations:
          summary: "{{ $labels.name }} is down on {{ $labels.instance }}"
          query: mainstay_service_up{name="${name}"}
`;

test('a stopped service is seen, acknowledged, mended in the page and closed', async ({ browser, playwright }) => {
  test.setTimeout(240_000);
  const server = await Server.start('up');
  const context = await browser.newContext({ baseURL: server.url, viewport: { width: 1440, height: 900 } });
  const api = await playwright.request.newContext({ baseURL: server.url, extraHTTPHeaders: server.headers });
  try {
    await server.admit(context);
    await prepare(api);
    await story(await context.newPage());
  } finally {
    await api.dispose();
    await context.close();
    await server.end();
  }
});

async function prepare(api: APIRequestContext) {
  const pack = await api.put('/api/v1/rule-packs/host', { data: { is_enabled: false } });
  expect(pack.ok(), await pack.text()).toBe(true);
  const rules = await api.post('/api/v1/rule-files', { data: { name: 'story', text: RULES } });
  expect(rules.ok(), await rules.text()).toBe(true);
  const made = await api.post('/api/v1/runbooks', { data: { text: TEXT } });
  expect(made.ok(), await made.text()).toBe(true);
  await watch(api);
}

async function story(page: Page) {
  await page.goto('/');
  await expect(page.getByRole('button', { name: /^Event feed: live/ })).toBeVisible();
  service.kill('SIGKILL');
  // Nobody reloads: the event feed brings it.
  const row = page.getByRole('table', { name: 'Incidents' }).getByRole('row').filter({ hasText: name });
  await expect(row).toBeVisible({ timeout: 30_000 });
  await row.click();

  await expect(page.getByRole('heading', { level: 1 })).toContainText(`${name} is down`);
  await page.getByRole('button', { name: 'Acknowledge' }).click();
  await expect(page.getByText(/acknowledged by/).first()).toBeVisible();

  // The alert has asked for its runbook already; a person says yes.
  await expect(page.getByRole('region', { name: 'Runbooks' })).toContainText(`Start ${name}`);
  await page.getByRole('button', { name: 'Approve and run' }).click();

  // What it prints is there as it comes, and the incident ends by itself.
  const run = page.getByRole('region', { name: `Start ${name}` });
  await expect(run).toContainText('Look', { timeout: 30_000 });
  await expect(run.getByText('succeeded')).toBeVisible({ timeout: 60_000 });
  const output = run.locator('pre.code').filter({ hasText: `looking at ${name}` });
  await expect(output).toBeVisible({ timeout: 30_000 });
  await expect(page.locator('.head').getByText('Resolved')).toBeVisible({ timeout: 90_000 });
  const told = page.getByRole('region', { name: 'Timeline' });
  await expect(told).toContainText(`${name} is down`);
  await expect(told).toContainText('acknowledged');
  await expect(told).toContainText(/← .*firing/);
  await expect(told).toContainText(/resolved/);

  await page.setViewportSize({ width: 390, height: 844 });
  await noSidewaysScroll(page);
}
