/** What a person sees: zoom, layouts, the divider, the contour, the value under the pointer, and how fast it is drawn. */
import { readFileSync } from 'node:fs';
import type { Locator, Page } from '@playwright/test';
import type { Report } from '../../www/src/types.ts';
import {
  expect,
  expectAccessible,
  expectFitting,
  open,
  part,
  pick,
  report,
  sample,
  samples,
  state,
  test,
  xrays,
} from './fixtures.ts';

const mainWindow = (page: Page): Locator => page.locator('#panel-main .window');

async function shown(page: Page, picture = sample()): Promise<void> {
  await open(page);
  await pick(page, picture);
  await state(page, 'done');
}

async function zoom(page: Page): Promise<number> {
  return Number.parseFloat(await part(page, 'zoom').innerText());
}

/** Where the sheet of each visible panel lies, in shares of its window. */
function sheets(page: Page): Promise<number[][]> {
  return page.locator('.window:visible').evaluateAll((windows) =>
    windows.map((window) => {
      const outer = window.getBoundingClientRect();
      const inner = window.querySelector('.sheet')?.getBoundingClientRect() ?? outer;
      return [
        (inner.left - outer.left) / outer.width,
        (inner.top - outer.top) / outer.height,
        inner.width / outer.width,
      ].map((share) => Math.round(share * 100) / 100);
    }),
  );
}

/** OpenCV's INTER_LINEAR at one pixel of the enlarged map, from its definition. */
function interpolated(
  { map, preprocessing }: Report & { preprocessing?: { region?: Region } },
  x: number,
  y: number,
): number {
  const region = preprocessing?.region;
  if (!region) throw new Error('the report names no region');
  const axis = (at: number, size: number, cells: number): [number, number, number] => {
    const place = ((at + 0.5) * cells) / size - 0.5;
    if (place <= 0) return [0, 0, 0];
    if (place >= cells - 1) return [cells - 1, cells - 1, 0];
    return [Math.floor(place), Math.floor(place) + 1, place - Math.floor(place)];
  };
  const [left, right, across] = axis(x - region.x, region.width, map.width);
  const [top, bottom, down] = axis(y - region.y, region.height, map.height);
  const at = (column: number, row: number): number => map.values[row * map.width + column] ?? NaN;
  const upper = at(left, top) * (1 - across) + at(right, top) * across;
  const lower = at(left, bottom) * (1 - across) + at(right, bottom) * across;
  return upper * (1 - down) + lower * down;
}

interface Region {
  x: number;
  y: number;
  width: number;
  height: number;
}

interface Read {
  x: number;
  y: number;
  value: number;
  cell: number;
}

async function readout(page: Page): Promise<Read> {
  const words = await part(page, 'readout').innerText();
  const found = /x (\d+), y (\d+): (\S+?)(?:, \d+ % of the highest)?; cell .*: (\S+)$/.exec(words);
  if (!found) throw new Error(`no value in '${words}'`);
  const [x = NaN, y = NaN, value = NaN, cell = NaN] = found.slice(1).map(Number);
  return { x, y, value, cell };
}

test('wheel, drag, double click, buttons and keys move all panels together', async ({ page }) => {
  await shown(page);
  await page.getByLabel('Side by side').check();
  expect(await sheets(page)).toEqual([
    [0, 0, 1],
    [0, 0, 1],
    [0, 0, 1],
  ]);
  const box = await mainWindow(page).boundingBox();
  if (!box) throw new Error('the stage has no window');
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };

  // Without the focus the wheel is the page's.
  await page.mouse.move(middle.x, middle.y);
  await page.mouse.wheel(0, 10);
  expect(await zoom(page)).toBe(100);
  await page.evaluate(() => window.scrollTo(0, 0));
  await mainWindow(page).focus();
  await page.mouse.wheel(0, -400);
  await expect.poll(() => zoom(page)).toBeGreaterThan(150);
  const [first = [], ...others] = await sheets(page);
  for (const other of others) expect(other).toEqual(first);

  await page.mouse.down();
  await page.mouse.move(middle.x + 20, middle.y + 10, { steps: 4 });
  await page.mouse.up();
  const [dragged = [], ...rest] = await sheets(page);
  expect((dragged[0] ?? 0) - (first[0] ?? 0)).toBeCloseTo(20 / box.width, 1);
  for (const other of rest) expect(other).toEqual(dragged);

  await page.mouse.dblclick(middle.x, middle.y);
  expect(await zoom(page)).toBe(100);
  await page.mouse.dblclick(middle.x, middle.y);
  expect(await zoom(page)).toBe(300);

  await mainWindow(page).focus();
  await page.keyboard.press('0');
  expect(await zoom(page)).toBe(100);
  await page.keyboard.press('+');
  await page.keyboard.press('+');
  expect(await zoom(page)).toBe(156);
  const [before = []] = await sheets(page);
  await page.keyboard.press('ArrowRight');
  const [after = []] = await sheets(page);
  expect((after[0] ?? 0) - (before[0] ?? 0)).toBeCloseTo(-0.1, 2);
  await page.keyboard.press('-');
  expect(await zoom(page)).toBe(125);
  await page.getByRole('button', { name: 'Larger' }).click();
  expect(await zoom(page)).toBe(156);
  await part(page, 'zoom').click();
  expect(await zoom(page)).toBe(100);

  // Another picture is shown as a whole.
  await page.getByRole('button', { name: 'Larger' }).click();
  await pick(page, sample(1));
  await state(page, 'done');
  await expect.poll(() => zoom(page)).toBe(100);
});

test('two fingers: apart is larger, and the place between them stays', async ({ page }) => {
  await shown(page);
  await mainWindow(page).evaluate((window) => {
    const { left, top, width, height } = window.getBoundingClientRect();
    const send = (type: string, pointerId: number, x: number, y: number): boolean =>
      window.dispatchEvent(
        new PointerEvent(type, {
          pointerId,
          pointerType: 'touch',
          clientX: left + x * width,
          clientY: top + y * height,
          button: type === 'pointermove' ? -1 : 0,
          bubbles: true,
          cancelable: true,
        }),
      );
    // Synthetic pointers are not there to be captured.
    window.setPointerCapture = () => {};
    send('pointerdown', 1, 0.4, 0.5);
    send('pointerdown', 2, 0.6, 0.5);
    for (let step = 1; step <= 10; step += 1) {
      send('pointermove', 1, 0.4 - step * 0.02, 0.5);
      send('pointermove', 2, 0.6 + step * 0.02, 0.5);
    }
    send('pointerup', 1, 0.2, 0.5);
    send('pointerup', 2, 0.8, 0.5);
  });
  expect(await zoom(page)).toBe(300);
  const [[x = NaN, y = NaN] = []] = await sheets(page);
  expect(x).toBeCloseTo(-1, 1);
  expect(y).toBeCloseTo(-1, 1);
});

test('the value under the pointer is the raw map’s, interpolated as it is drawn', async ({
  page,
}) => {
  await shown(page, xrays()[1] ?? sample());
  const found = await report(page);
  const box = await mainWindow(page).boundingBox();
  if (!box) throw new Error('the stage has no window');
  for (const [across, down] of [
    [0.5, 0.5],
    [0.31, 0.72],
    [0.66, 0.18],
    [0.8, 0.9],
  ] as const) {
    await page.mouse.move(box.x + across * box.width, box.y + down * box.height);
    const { x, y, value } = await readout(page);
    expect(Math.abs(x - across * found.picture.width)).toBeLessThan(3);
    expect(Math.abs(y - down * found.picture.height)).toBeLessThan(3);
    const expected = interpolated(found, x, y);
    // Four digits are shown.
    expect(Math.abs(value - expected)).toBeLessThan(6e-4 * Math.abs(expected) + 1e-9);
  }
  // Enlarged, the same place of the window is another one of the picture.
  await mainWindow(page).focus();
  await page.keyboard.press('+');
  await page.keyboard.press('+');
  await page.mouse.move(box.x + 0.3 * box.width, box.y + 0.3 * box.height);
  const { x, y, value } = await readout(page);
  expect(x / found.picture.width).toBeCloseTo(0.5 + (0.3 - 0.5) / 1.5625, 2);
  const expected = interpolated(found, x, y);
  expect(Math.abs(value - expected)).toBeLessThan(6e-4 * Math.abs(expected) + 1e-9);
  await page.mouse.move(box.x + box.width / 2, box.y - 60);
  await expect(part(page, 'readout')).toHaveText('');
});

test('the cross moves by keys and says what it finds', async ({ page }) => {
  await shown(page);
  const spoken = page.locator('#readout-spoken');
  await mainWindow(page).focus();
  await page.keyboard.press('Shift+ArrowRight');
  await expect(spoken).toHaveText(/^x \d+, y \d+: /);
  const before = await readout(page);
  await page.keyboard.press('Shift+ArrowDown');
  const after = await readout(page);
  expect(after.y).toBeGreaterThan(before.y);
  expect(after.x).toBe(before.x);
  await expect(page.locator('#panel-main .cursor-mark')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(spoken).toHaveText('');
  await expect(page.locator('#panel-main .cursor-mark')).toBeHidden();
});

test('the contour runs where the raw map has its share of the highest value', async ({ page }) => {
  await shown(page, xrays()[0] ?? sample());
  const line = page.locator('#panel-main .marks:not(.under) .contour-line');
  expect((await line.getAttribute('d')) ?? '').toBe('');
  const found = (await report(page)) as Report & { preprocessing: { region: Region } };
  const { region } = found.preprocessing;
  let points = 0;
  for (const share of [0.3, 0.5, 0.8]) {
    await part(page, 'contour').fill(String(share));
    const path = (await line.getAttribute('d')) ?? '';
    expect(path).toMatch(/^M/);
    for (const [, x, y] of path.matchAll(/([\d.]+) ([\d.]+)/g)) {
      const at = { x: Number(x) - 0.5, y: Number(y) - 0.5 };
      const rim = region.width / 100;
      const inside =
        at.x > region.x + rim &&
        at.y > region.y + rim &&
        at.x < region.x + region.width - rim &&
        at.y < region.y + region.height - rim;
      if (!inside) continue;
      points += 1;
      const apart = interpolated(found, at.x, at.y) - share * found.map.max;
      expect(Math.abs(apart) / found.map.max).toBeLessThan(0.01);
    }
  }
  expect(points).toBeGreaterThan(100);
  await part(page, 'contour').fill('0');
  expect((await line.getAttribute('d')) ?? '').toBe('');
});

test('the divider: left the overlay, right the picture, by pointer and by keys', async ({
  page,
}) => {
  await shown(page);
  await page.getByLabel('Swipe').check();
  const divider = page.getByRole('slider', { name: 'Divider' });
  await expect(divider).toHaveAttribute('aria-valuenow', '50');
  const colors = (): Promise<number[]> => colorful(page);
  const [left = 0, right = 0] = await colors();
  expect(left).toBeGreaterThan(10);
  expect(right).toBe(0);

  await divider.focus();
  await page.keyboard.press('ArrowLeft');
  await expect(divider).toHaveAttribute('aria-valuenow', '48');
  await page.keyboard.press('End');
  await expect(divider).toHaveAttribute('aria-valuenow', '100');
  expect((await colors())[1]).toBeGreaterThan(10);
  await page.keyboard.press('Home');
  await expect(divider).toHaveAttribute('aria-valuetext', '0 % overlay, the rest picture');
  expect(await colors()).toEqual([0, 0]);

  const box = await mainWindow(page).boundingBox();
  if (!box) throw new Error('the stage has no window');
  await page.mouse.move(box.x + 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + 0.7 * box.width, box.y + box.height / 2, { steps: 3 });
  await page.mouse.up();
  await expect(divider).toHaveAttribute('aria-valuenow', '70');
  expect(await zoom(page)).toBe(100);
});

/** How far from grey a quarter and three quarters of the stage are on the screen, in levels. */
async function colorful(page: Page): Promise<number[]> {
  const shot = await mainWindow(page).screenshot();
  return page.evaluate(
    async (bytes) => {
      const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
      const context = canvas.getContext('2d');
      context?.drawImage(bitmap, 0, 0);
      return [0.36, 0.64].map((across) => {
        const { width, height } = bitmap;
        const data = context?.getImageData(width * across - 8, height * 0.3, 16, height * 0.4).data;
        let most = 0;
        for (let at = 0; at < (data?.length ?? 0); at += 4) {
          const [r = 0, g = 0, b = 0] = data?.subarray(at, at + 3) ?? [];
          most = Math.max(most, Math.max(r, g, b) - Math.min(r, g, b));
        }
        return most;
      });
    },
    [...shot],
  );
}

test('the page draws what the engine draws, in a frame and without asking it', async ({ page }) => {
  await page.addInitScript(() => {
    const original = Worker.prototype.postMessage;
    Object.assign(window, { asked: 0 });
    Worker.prototype.postMessage = function (this: Worker, ...message: [unknown]) {
      (window as unknown as { asked: number }).asked += 1;
      original.apply(this, message);
    };
  });
  await shown(page, xrays()[0] ?? sample());
  const asked = (): Promise<number> =>
    page.evaluate(() => (window as unknown as { asked: number }).asked);
  await page.waitForTimeout(1000);
  const before = await asked();
  const times = await part(page, 'opacity').evaluate((slider: HTMLInputElement) => {
    const canvas = document.querySelector<HTMLCanvasElement>('#overlay');
    return Array.from({ length: 20 }, (_, step) => {
      slider.value = String(step / 20);
      const start = performance.now();
      slider.dispatchEvent(new Event('input', { bubbles: true }));
      // Reading a pixel waits for what was drawn.
      canvas?.getContext('2d')?.getImageData(0, 0, 1, 1);
      return performance.now() - start;
    });
  });
  const median = times.sort((a, b) => a - b)[10] ?? Infinity;
  test.info().annotations.push({ type: 'opacity, median ms', description: median.toFixed(1) });
  await part(page, 'opacity').fill('0.6');
  await part(page, 'colormap-select').selectOption('viridis');
  await part(page, 'contour').fill('0.4');
  await page.getByRole('button', { name: 'Larger' }).click();
  expect(await asked()).toBe(before);
  expect(median).toBeLessThan(50);

  await part(page, 'contour').fill('0');
  const download = page.waitForEvent('download');
  await part(page, 'export-png').click();
  const file = readFileSync(await (await download).path());
  const apart = await page.evaluate(
    async (bytes) => {
      const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
      const canvas = document.querySelector<HTMLCanvasElement>('#overlay');
      const other = new OffscreenCanvas(bitmap.width, bitmap.height);
      const context = other.getContext('2d');
      context?.drawImage(bitmap, 0, 0);
      // Above the notice in the file's pixels.
      const height = Math.floor(bitmap.height * 0.8);
      const a = canvas?.getContext('2d')?.getImageData(0, 0, bitmap.width, height).data ?? [];
      const b = context?.getImageData(0, 0, bitmap.width, height).data ?? [];
      let most = a.length === b.length ? 0 : Infinity;
      for (let at = 0; at < a.length; at += 1) {
        most = Math.max(most, Math.abs((a[at] ?? 0) - (b[at] ?? 0)));
      }
      return most;
    },
    [...file],
  );
  expect(apart).toBeLessThanOrEqual(2);
});

test('the sentence: where the map peaks, and how narrow', async ({ page }) => {
  await shown(page);
  const { map } = await report(page);
  const half = map.values.filter((value) => value >= map.max / 2).length / map.values.length;
  await expect(part(page, 'peak')).toContainText(
    /is highest at the (upper|lower|left|right|centre)/,
  );
  await expect(part(page, 'peak')).toContainText(
    `${(half * 100).toFixed(1)} % of the map reaches half of that`,
  );
  const ticks = (await part(page, 'legend').locator('span').allInnerTexts()).map(Number);
  for (const [at, value] of [map.min, (map.min + map.max) / 2, map.max].entries()) {
    expect(Math.abs((ticks[at] ?? NaN) - value)).toBeLessThan(6e-4 * map.max);
  }
});

test('the whole visit by keyboard alone', async ({ page }) => {
  await open(page);
  const tabTo = async (target: Locator): Promise<void> => {
    for (let step = 0; step < 80; step += 1) {
      await page.keyboard.press('Tab');
      if (await target.evaluate((element) => element === document.activeElement)) return;
    }
    throw new Error('Tab does not reach it');
  };
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toBeHidden();
  await tabTo(part(page, 'sample-picture').first());
  await page.keyboard.press('Enter');
  await state(page, 'done');
  await tabTo(page.locator('#layout-overlay'));
  await page.keyboard.press('ArrowRight');
  await expect(page.locator('#panels')).toHaveAttribute('data-panels', '3');
  await page.keyboard.press('3');
  await expect(part(page, 'swipe')).toBeVisible();
  await page.keyboard.press('1');
  await tabTo(mainWindow(page));
  await page.keyboard.press('+');
  await page.keyboard.press('Shift+ArrowLeft');
  await expect(part(page, 'readout')).not.toHaveText('');
  await tabTo(part(page, 'opacity'));
  await page.keyboard.press('End');
  await tabTo(part(page, 'contour'));
  await page.keyboard.press('PageUp');
  await expect(page.locator('#contour-value')).toHaveText(/at \d+ %/);
  await tabTo(part(page, 'class-select'));
  const before = await report(page);
  await page.keyboard.press(before.explained.index === 0 ? 'ArrowDown' : 'ArrowUp');
  await state(page, 'done');
  expect((await report(page)).explained.index).not.toBe(before.explained.index);
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('c');
  await expect(part(page, 'compare-status')).toHaveAttribute('data-state', 'done');
  await page.keyboard.press('c');
  await expect(part(page, 'compare-status')).toBeHidden();
  await tabTo(part(page, 'export-png'));
  const download = page.waitForEvent('download');
  await page.keyboard.press('Enter');
  await download;
});

test('keys are letters in fields and menus, and can be turned off', async ({ page }) => {
  await shown(page);
  await page.locator('#layer-filter').fill('');
  await page.locator('#layer-filter').press('c');
  await page.locator('#layer-filter').press('3');
  await part(page, 'class-select').press('c');
  await expect(part(page, 'compare-status')).toBeHidden();
  await expect(page.locator('#layout-overlay')).toBeChecked();
  await page.getByRole('button', { name: 'Help and keys' }).click();
  await page.getByText('Single keys work').click();
  await page.getByRole('button', { name: 'Close' }).click();
  await page.keyboard.press('3');
  await expect(page.locator('#layout-overlay')).toBeChecked();
  await page.reload();
  await state(page, 'ready');
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog')).toBeHidden();
});

test('a method of the pixels has no layer to choose; what takes its time says so', async ({
  page,
}) => {
  await shown(page, samples()[0]);
  await expect(page.locator('#layer-field')).toBeVisible();
  await expect(part(page, 'method-select').locator('optgroup')).not.toHaveCount(0);
  await part(page, 'method-select').selectOption('gradient');
  await state(page, 'done');
  await expect(page.locator('#layer-field')).toBeHidden();
  await expect(page.locator('#method-about')).toContainText('One pass back');
  await expect(
    part(page, 'method-select').locator('optgroup[label="At the pixels"] option[value=gradient]'),
  ).toHaveCount(1);
  await expect(part(page, 'method-select').locator('option[value=rise]')).toHaveText(/slow/);
});

for (const width of [360, 768, 1440]) {
  test(`${width} px: side by side, swiped, compared, helped: accessible, nothing sticks out`, async ({
    page,
  }) => {
    await page.emulateMedia({
      colorScheme: width === 768 ? 'dark' : 'light',
      reducedMotion: 'reduce',
    });
    await page.setViewportSize({ width, height: 900 });
    await shown(page);
    await part(page, 'contour').fill('0.5');
    for (const layout of ['Side by side', 'Swipe']) {
      await page.getByLabel(layout).check();
      await expectAccessible(page);
      await expectFitting(page, width);
    }
    await part(page, 'compare').click();
    await expect(part(page, 'compare-status')).toHaveAttribute('data-state', 'done');
    await expectAccessible(page);
    await expectFitting(page, width);
    await page.getByLabel('Side by side').check();
    await mainWindow(page).focus();
    await page.keyboard.press('Shift+ArrowUp');
    await expectAccessible(page);
    await expectFitting(page, width);
    await page.screenshot({ path: `test-results/stage-${width}.png`, fullPage: true });
    await page.keyboard.press('?');
    await expectAccessible(page);
    await expectFitting(page, width);
  });
}

test('a map without content says why, before anything else is said of it', async ({ page }) => {
  await shown(page);
  await expect(part(page, 'empty')).toBeHidden();
  await part(page, 'class-select').selectOption('covid');
  await part(page, 'layer-select').selectOption('blocks.5.3.conv_dw');
  await state(page, 'done');
  expect((await report(page)).map.max).toBe(0);
  await expect(part(page, 'empty')).toBeVisible();
  await expect(part(page, 'empty')).toHaveText(/\w+ \w+ \w+/);
  await expect(part(page, 'peak')).toContainText('has no highest place');
  await expect(page.locator('.peak-mark:visible')).toHaveCount(0);
  await expect(part(page, 'contour')).toBeDisabled();
  await expectAccessible(page);
  await part(page, 'layer-select').selectOption('global_pool');
  await state(page, 'done');
  await expect(part(page, 'empty')).toBeVisible();
});
