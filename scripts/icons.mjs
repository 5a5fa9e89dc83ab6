/** The PNG icons of an installed page, from www/public/icon.svg: `node scripts/icons.mjs`. CHROMIUM names another browser file. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { chromium } from '@playwright/test';
import { root } from './steps.mjs';

const folder = path.join(root, 'www', 'public');

/** `share`: how much of the side the drawing takes; a mask may cut away all but the inner four fifths. */
const icons = [
  { name: '192', side: 192, share: 1, ground: 'transparent' },
  { name: '512', side: 512, share: 1, ground: 'transparent' },
  { name: 'maskable-512', side: 512, share: 0.62, ground: '#f6f5f2' },
  { name: 'apple-touch', side: 180, share: 0.78, ground: '#f6f5f2' },
];

const svg = await readFile(path.join(folder, 'icon.svg'), 'base64');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
try {
  const page = await browser.newPage();
  for (const { name, side, share, ground } of icons) {
    await page.setViewportSize({ width: side, height: side });
    await page.setContent(`<body style="margin:0;height:100vh;display:grid;place-items:center;background:${ground}">
      <img width="${side * share}" height="${side * share}" src="data:image/svg+xml;base64,${svg}">`);
    await page.locator('img').evaluate((image) => image.decode());
    const file = path.join(folder, 'icons', `${name}.png`);
    await page.screenshot({ path: file, omitBackground: true });
    console.log(path.relative(root, file));
  }
} finally {
  await browser.close();
}
