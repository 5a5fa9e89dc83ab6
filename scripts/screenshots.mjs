/** `npm run screenshots`: the page as it looks with a synthetic sample, at three widths in both themes, into docs/screenshots/. */
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { state, visiting } from './browser.mjs';
import { root } from './steps.mjs';

const folder = path.join(root, 'docs', 'screenshots');
const widths = { 360: 780, 768: 1024, 1440: 900 };

try {
  mkdirSync(folder, { recursive: true });
  await visiting(async (browser, address) => {
    for (const colorScheme of ['light', 'dark']) {
      for (const [width, height] of Object.entries(widths)) {
        const page = await browser.newPage({
          viewport: { width: Number(width), height },
          colorScheme,
          reducedMotion: 'reduce',
          serviceWorkers: 'block',
          locale: 'en-GB',
        });
        await page.goto(address);
        await state(page, 'ready');
        await page.getByTestId('sample-picture').nth(1).click();
        await state(page, 'done');
        // What moves with the machine's mood would make another file each time.
        await page.getByTestId('status').evaluate((status) => (status.textContent = 'Done'));
        const file = path.join(folder, `page-${width}-${colorScheme}.jpg`);
        await page.screenshot({ path: file, fullPage: true, type: 'jpeg', quality: 60 });
        console.log(path.relative(root, file), statSync(file).size);
        await page.close();
      }
    }
  });
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
