/** Pictures of all formats, and the window that values are seen through: presets, fields, keys, dragging; what the network sees changes with it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from '@playwright/test';
import {
  expect,
  expectAccessible,
  expectFitting,
  named,
  open,
  part,
  pick,
  pixelSum,
  report,
  root,
  state,
  test,
} from './fixtures.ts';

const dicom = (name: string): string => path.join(root, 'tests/fixtures/dicom', name);
const picture = (name: string): string => path.join(root, 'tests/fixtures/pictures', name);

async function shown(page: Page, file: string, name = path.basename(file)): Promise<void> {
  await open(page);
  await pick(page, named(name, readFileSync(file)));
  await state(page, 'done');
}

/** What the current report says was looked through. */
async function window_(page: Page): Promise<unknown> {
  await state(page, 'done');
  return (await report(page)).picture.window;
}

test('formats are told by their content, whatever their names', async ({ page }) => {
  await open(page);
  const files = ['lossless.webp', 'rgb.bmp', 'lzw.tiff', 'grey16-big-endian.tiff'].map(picture);
  const all = [...files, dicom('no-preamble'), dicom('jpeg-2000.dcm'), dicom('rle-rgb.dcm')];
  await pick(page, ...all.map((file, index) => named(`picture ${index}`, readFileSync(file))));
  await state(page, 'done');
  await expect(part(page, 'error').locator('li')).toHaveCount(0);
  await expect(page.locator('#tray li')).toHaveCount(all.length);
});

test('a file that cannot be read says why, and the others are read', async ({ page }) => {
  await open(page);
  await pick(page, dicom('jpeg-ls.dcm'), dicom('frames.dcm'));
  await expect(part(page, 'error')).toContainText('JPEG-LS (lossless)');
  await expect(page.locator('#tray li')).toHaveCount(1);
  await expect(part(page, 'picture-note')).toHaveText('This is the first of 3 frames.');
});

test('presets, fields and keys choose the window, and scores follow', async ({ page }) => {
  await shown(page, dicom('cr-12bit.dcm'), 'IM0001');
  await expect(part(page, 'window')).toBeVisible();
  await expect(part(page, 'window-center')).toHaveValue('1900');
  const usual = await report(page);
  expect(usual.picture.window).toEqual({ center: 1900, width: 3000, function: 'linear' });
  const before = await pixelSum(page);

  await part(page, 'window-preset').selectOption({ label: 'LUNG' });
  await expect(part(page, 'window-center')).toHaveValue('1200');
  expect(await window_(page)).toEqual({ center: 1200, width: 800, function: 'linear' });
  const lung = await report(page);
  expect(lung.scores).not.toEqual(usual.scores);
  expect(await pixelSum(page)).not.toBe(before);

  await part(page, 'window-width').fill('1500');
  await part(page, 'window-width').press('Tab');
  await expect.poll(() => window_(page)).toEqual({ center: 1200, width: 1500, function: 'linear' });
  const slider = page.locator('#levels-center-slider');
  await slider.focus();
  await slider.press('ArrowRight');
  await expect(part(page, 'window-center')).not.toHaveValue('1200');

  await part(page, 'window-reset').click();
  await expect.poll(() => window_(page)).toEqual(usual.picture.window);
  expect((await report(page)).scores).toEqual(usual.scores);
  await expectAccessible(page);
});

test('dragging on the picture widens and brightens, and leaves the picture where it is', async ({
  page,
}) => {
  await shown(page, dicom('cr-12bit.dcm'));
  await part(page, 'window-drag').click();
  await expect(part(page, 'window-drag')).toHaveAttribute('aria-pressed', 'true');
  const panel = page.locator('#panel-main .window');
  await panel.scrollIntoViewIfNeeded();
  const box = await panel.boundingBox();
  if (!box) throw new Error('the picture is not there');
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, box.y + box.height * 0.3, { steps: 8 });
  await page.mouse.up();
  const value = async (id: string): Promise<number> => Number(await part(page, id).inputValue());
  expect(await value('window-width')).toBeGreaterThan(3000);
  expect(await value('window-center')).toBeLessThan(1900);
  const wanted = {
    center: await value('window-center'),
    width: await value('window-width'),
    function: 'linear',
  };
  await expect.poll(() => window_(page)).toEqual(wanted);
  await expect(part(page, 'zoom')).toHaveText('100 %');
  await page.keyboard.press('Escape');
  await expect(part(page, 'window-drag')).toHaveAttribute('aria-pressed', 'false');
});

test('eight bits and colours have no window, sixteen bits have', async ({ page }) => {
  await shown(page, picture('grey8.png'));
  await expect(part(page, 'window')).toBeHidden();
  await pick(page, picture('grey16.png'));
  await expect(part(page, 'window')).toBeVisible();
  expect(await window_(page)).toBeUndefined();
  await part(page, 'window-preset').selectOption({ label: 'all values' });
  await expect.poll(() => window_(page)).toBeDefined();
  await page.setViewportSize({ width: 360, height: 740 });
  await expectFitting(page, 360);
});

test('the window looks as it should', async ({ page }, info) => {
  await shown(page, dicom('cr-12bit.dcm'));
  for (const [name, width] of [
    ['wide', 1440],
    ['phone', 360],
  ] as const) {
    await page.setViewportSize({ width, height: 900 });
    await page.locator('#levels').scrollIntoViewIfNeeded();
    await page.screenshot({ path: info.outputPath(`${name}.png`) });
    await expectFitting(page, width);
  }
});

test('nothing of a patient is on the page or in the report', async ({ page }) => {
  await shown(page, dicom('cr-12bit.dcm'));
  const text = `${await page.content()} ${JSON.stringify(await report(page))}`;
  expect(text).not.toMatch(/secret|19991231|19010203/i);
});
