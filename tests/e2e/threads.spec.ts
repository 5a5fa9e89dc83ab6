/** The engine with threads: where the page has them, where it has none, and where they cannot be started. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Page } from '@playwright/test';
import { dist, expect, part, pick, report, sample, serve, state, test } from './fixtures.ts';

/** The report on a picture, from the page at an address. */
async function explained(page: Page, address = './') {
  await page.goto(address);
  await state(page, 'ready');
  await pick(page, sample());
  await state(page, 'done');
  return report(page);
}

/** The WebAssembly files that the page downloads from now on. */
function files(page: Page): string[] {
  const found: string[] = [];
  page.on('response', (response) => {
    if (response.url().endsWith('.wasm')) found.push(response.url());
  });
  return found;
}

test('an isolated page has threads, and the same map as one thread', async ({ page }) => {
  const downloads = files(page);
  const several = await explained(page, './?threads=3');
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  expect(several.engine.threads).toBe(3);
  const one = await explained(page, './?threads=1');
  expect(one.engine.threads).toBe(1);
  expect(new Set(downloads).size).toBe(2);
  expect(several.scores).toEqual(one.scores);
  expect(several.map).toEqual(one.map);
});

test('as many threads as processors, unless the address says otherwise', async ({ page }) => {
  const { engine } = await explained(page);
  const processors = await page.evaluate(() => navigator.hardwareConcurrency);
  expect(engine.threads).toBe(Math.min(processors, 8));
});

test('a page that is not isolated has one thread', async ({ page, address }) => {
  await page.route(address, async (route) => {
    const response = await route.fetch();
    const headers = response.headers();
    delete headers['cross-origin-opener-policy'];
    delete headers['cross-origin-embedder-policy'];
    await route.fulfill({ response, headers });
  });
  const downloads = files(page);
  const { engine } = await explained(page);
  expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
  expect(engine.threads).toBe(1);
  expect(downloads).toHaveLength(1);
});

test('a file with threads that does not start: one thread', async ({ page }) => {
  let asked = 0;
  await page.route('**/*.wasm', (route) => {
    asked++;
    // The first one is that with threads.
    if (asked > 1) return route.continue();
    return route.fulfill({ contentType: 'application/wasm', body: 'no WebAssembly' });
  });
  expect((await explained(page)).engine.threads).toBe(1);
  expect(asked).toBe(2);
});

test('threads that do not come are not waited for', async ({ page }) => {
  // Requests of a worker's workers are not to be caught: this page lacks the script of its threads.
  const folder = mkdtempSync(path.join(tmpdir(), 'gradlens-'));
  mkdirSync(path.join(folder, 'assets'));
  for (const name of readdirSync(dist)) {
    if (name !== 'assets') symlinkSync(path.join(dist, name), path.join(folder, name));
  }
  for (const name of readdirSync(path.join(dist, 'assets'))) {
    const [from, to] = [dist, folder].map((place) => path.join(place, 'assets', name));
    if (from && to && !name.startsWith('thread-')) symlinkSync(from, to);
  }
  const { server, address } = await serve(folder);
  try {
    const { engine } = await explained(page, `${address}?threads=4`);
    expect(engine.threads).toBe(1);
    await expect(part(page, 'error')).toBeHidden();
  } finally {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  }
});
