import { defineConfig } from '@playwright/test';

/**
 * Browser tests against a running server: MAINSTAY_URL is its address; MAINSTAY_SETUP_URL the one-time link that it printed, while it
 * has no administrator yet; MAINSTAY_TOKEN_FILE an administrator's API token for a server that has one. CHROMIUM names the browser.
 */
export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  timeout: 60_000,
  expect: { timeout: 15_000 },
  workers: 1,
  forbidOnly: Boolean(process.env.CI),
  retries: process.env.CI ? 1 : 0,
  reporter: [['list']],
  use: {
    baseURL: process.env.MAINSTAY_URL ?? 'http://127.0.0.1:5199',
    viewport: { width: 1440, height: 900 },
    reducedMotion: 'reduce',
    ignoreHTTPSErrors: true,
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  projects: [
    { name: 'first run', testMatch: /firstRun\.spec\.ts/ },
    { name: 'pages', testIgnore: /firstRun\.spec\.ts/, dependencies: ['first run'] },
  ],
});
