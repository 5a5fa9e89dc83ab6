/** Hundreds of pictures do not fill the memory: what the page's process holds after 1, 100 and 300 of them, each looked at. */
import { readFileSync } from 'node:fs';
import type { Browser, Page } from '@playwright/test';
import { expect, named, open, part, pick, samples, state, test } from './fixtures.ts';

/** `GRADLENS_PICTURES` shortens the visit. */
const MANY = Number(process.env['GRADLENS_PICTURES'] ?? 300);
const MEASURED = [1, 50, 100, 200];
/** Of MiB, per picture: a small picture for the tray, its scores, the page's elements. */
const EACH = 0.5;

/** MiB of the largest renderer: page, worker, WebAssembly and bitmaps; garbage that Chromium has not got round to is not among them. */
async function memory(browser: Browser, page: Page): Promise<number> {
  // What the first collection lets go of may hold more.
  await page.requestGC();
  await page.requestGC();
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const sizes = processInfo
    .filter(({ type }) => type === 'renderer')
    .map(({ id }) => {
      const status = readFileSync(`/proc/${id}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
    });
  return Math.max(...sizes);
}

test('memory stays where it is over hundreds of pictures', async ({ page, browser }) => {
  test.skip(process.platform !== 'linux', 'the memory of a process is read from /proc');
  test.setTimeout(30 * 60_000);
  const pictures = samples().map((file) => readFileSync(file));
  // Bytes after a JPEG's end change its checksum, and nothing else.
  const files = Array.from({ length: MANY }, (_, index) => {
    const bytes = pictures[index % pictures.length] ?? Buffer.alloc(0);
    return named(`${index}.jpg`, Buffer.concat([bytes, Buffer.from(`${index}`)]));
  });
  await open(page);
  const measured: [number, number][] = [];
  const ends = [1, ...Array.from({ length: Math.ceil(MANY / 25) }, (_, index) => 25 * (index + 1))];
  let from = 0;
  for (const end of ends) {
    await pick(page, ...files.slice(from, end));
    await state(page, 'done');
    // Each is looked at, as by somebody who goes through them.
    const buttons = await page.locator('#tray li button').all();
    for (const button of buttons.slice(from)) {
      await button.click();
      await state(page, 'done');
    }
    from = Math.min(end, files.length);
    if (MEASURED.includes(from) || from === files.length) {
      measured.push([from, await memory(browser, page)]);
    }
  }
  for (const [count, size] of measured) console.log(`${count} pictures: ${size.toFixed(0)} MiB`);
  await expect(part(page, 'error').locator('li')).toHaveCount(0);
  const [, early] = measured[1] ?? [0, 0];
  const [last, late] = measured.at(-1) ?? [0, 0];
  const between = last - (measured[1]?.[0] ?? 0);
  expect(late - early).toBeLessThan(64 + EACH * between);
});
