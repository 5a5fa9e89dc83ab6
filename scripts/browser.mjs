/** The system's Chromium on the built page, for scripts that look at it: CHROMIUM names another browser file. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { chromium } from '@playwright/test';
import { serve } from './serve.mjs';
import { root } from './steps.mjs';

export const dist = path.join(root, 'www', 'dist');
export const samples = path.join(root, 'www', 'public', 'samples');

/** Serves the built page and starts a browser; both end with what is done with them. */
export async function visiting(action) {
  if (!existsSync(path.join(dist, 'index.html'))) throw new Error('run `npm run build` first');
  const { server, address } = await serve(dist, 0);
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update'],
  });
  try {
    return await action(browser, address);
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
}

/** Waits until the page is in a state. */
export async function state(page, wanted) {
  await page
    .locator(`[data-testid="status"][data-state="${wanted}"]`)
    .waitFor({ timeout: 300_000 });
}
