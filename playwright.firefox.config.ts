/** The tests in Firefox: Playwright's runner, but Debian's browser, which it cannot drive (tests/firefox/driver.ts does). */
import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: 'tests/firefox',
  outputDir: 'test-results/firefox',
  timeout: 120_000,
  expect: { timeout: 60_000 },
  workers: 1,
  forbidOnly: true,
  reporter: [['list'], ['json', { outputFile: 'test-results/firefox.json' }]],
});
