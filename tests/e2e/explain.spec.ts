/** The main job: a picture in, scores and a heat map out, the same as on the command line. */
import path from 'node:path';
import type { Report } from '../../www/src/types.ts';
import {
  commandLineReport,
  expect,
  open,
  part,
  pick,
  pixelSum,
  report,
  sample,
  samples,
  state,
  test,
  xrays,
} from './fixtures.ts';

const TOLERANCE = 1e-4;
/** Of maps at a layer in front of others with ReLU6: an activation next to a bound may fall on the other side in the browser's kernels. */
const BEHIND_KINKS = 1e-2;

function expectSame(page: Report, terminal: Report, tolerance = TOLERANCE): void {
  expect(page.picture).toEqual(terminal.picture);
  expect(page.model).toEqual(terminal.model);
  expect(page.explained).toEqual(terminal.explained);
  expect([page.method, page.layer]).toEqual([terminal.method, terminal.layer]);
  expect(page.scores.length).toBe(terminal.scores.length);
  for (const [index, score] of terminal.scores.entries()) {
    expect(page.scores[index]?.label).toBe(score.label);
    expect(Math.abs((page.scores[index]?.logit ?? NaN) - score.logit)).toBeLessThan(TOLERANCE);
    expect(
      Math.abs((page.scores[index]?.probability ?? NaN) - (score.probability ?? NaN)),
    ).toBeLessThan(TOLERANCE);
  }
  expect([page.map.width, page.map.height]).toEqual([terminal.map.width, terminal.map.height]);
  expect(page.map.values.length).toBe(terminal.map.width * terminal.map.height);
  const most = Math.max(...terminal.map.values.map(Math.abs), Number.MIN_VALUE);
  const apart = terminal.map.values.map((value, at) =>
    Math.abs((page.map.values[at] ?? NaN) - value),
  );
  expect(Math.max(...apart) / most).toBeLessThan(tolerance);
}

test('a sample picture: scores in the table, the map as on the command line', async ({ page }) => {
  await open(page);
  const picture = sample();
  await pick(page, picture);
  await state(page, 'done');
  const found = await report(page);
  expect(found.schema).toBe('gradlens.report/1');
  expectSame(found, commandLineReport(picture));

  const rows = part(page, 'scores').locator('tbody tr');
  await expect(rows).toHaveCount(found.scores.length);
  for (const [index, score] of found.scores.entries()) {
    await expect(rows.nth(index)).toHaveAttribute('data-label', score.label);
    const shown = Number(await rows.nth(index).getAttribute('data-probability'));
    expect(shown).toBeCloseTo(score.probability ?? NaN, 6);
  }
  const total = found.scores.reduce((sum, { probability }) => sum + (probability ?? 0), 0);
  expect(total).toBeCloseTo(1, 5);

  const canvas = part(page, 'overlay');
  await expect(canvas).toHaveJSProperty('width', found.picture.width);
  await expect(canvas).toHaveJSProperty('height', found.picture.height);
  await expect(canvas).toHaveAttribute('aria-label', /\S/);
  await expect(part(page, 'notice')).toContainText('Not for diagnostic use');
});

test('the X-rays of the article: the same as on the command line', async ({ page }) => {
  const pictures = xrays();
  test.skip(pictures.length === 0, 'no X-rays at hand (../shared/xrays/article)');
  await open(page);
  for (const picture of pictures) {
    await pick(page, picture);
    await state(page, 'running');
    await state(page, 'done');
    expectSame(await report(page), commandLineReport(picture));
  }
});

test('another class, contrast, layer, method and target: each as on the command line', async ({
  page,
}) => {
  await open(page);
  const picture = sample(1);
  await pick(page, picture);
  await state(page, 'done');
  const first = await report(page);
  const other = first.scores.find(({ index }) => index !== first.explained.index);
  if (!other) throw new Error('the model has only one class');

  await part(page, 'class-select').selectOption(other.label);
  await state(page, 'done');
  const second = await report(page);
  expect(second.explained.label).toBe(other.label);
  expect(second.scores).toEqual(first.scores);
  expectSame(second, commandLineReport(picture, '--class', other.label));

  await part(page, 'contrast-select').selectOption(first.explained.label);
  await state(page, 'done');
  const contrast = await report(page);
  expectSame(
    contrast,
    commandLineReport(picture, '--class', other.label, '--contrast', first.explained.label),
  );
  await part(page, 'contrast-select').selectOption('');
  await state(page, 'done');

  await part(page, 'target-select').selectOption('probability');
  await state(page, 'done');
  expectSame(
    await report(page),
    commandLineReport(picture, '--class', other.label, '--target', 'probability'),
  );
  await part(page, 'target-select').selectOption('logit');

  await part(page, 'method-select').selectOption('guided-grad-cam-article');
  await state(page, 'done');
  const method = [
    '--class',
    other.label,
    '--method',
    'guided-grad-cam-article',
    '--target',
    'logit',
  ];
  expectSame(await report(page), commandLineReport(picture, ...method));

  const layers = await part(page, 'layer-select')
    .locator('option')
    .evaluateAll((options) => options.map((option) => (option as HTMLOptionElement).value));
  const layer = layers.find((name) => name !== second.layer && name.startsWith('blocks.4'));
  expect(layer).toBeTruthy();
  await part(page, 'layer-select').selectOption(layer ?? '');
  await state(page, 'done');
  const deeper = await report(page);
  expect(deeper.layer).toBe(layer);
  expectSame(deeper, commandLineReport(picture, ...method, '--layer', layer ?? ''), BEHIND_KINKS);
});

test('opacity and colours change the pixels and nothing else', async ({ page }) => {
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  const before = await report(page);
  const sums = new Set([await pixelSum(page)]);
  for (const colormap of ['viridis', 'magma', 'turbo', 'jet', 'hot']) {
    await part(page, 'colormap-select').selectOption(colormap);
    await state(page, 'done');
    sums.add(await pixelSum(page));
  }
  for (const opacity of ['0', '0.7', '1']) {
    await part(page, 'opacity').fill(opacity);
    await state(page, 'done');
    sums.add(await pixelSum(page));
  }
  expect(sums.size).toBe(9);
  expect(await report(page)).toEqual(before);
});

test('a dragged slider ends where it was left', async ({ page }) => {
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  await part(page, 'opacity').fill('0.9');
  await state(page, 'done');
  const wanted = await pixelSum(page);
  await part(page, 'opacity').evaluate((slider: HTMLInputElement) => {
    for (let step = 0; step <= 90; step += 1) {
      slider.value = String(step / 100);
      slider.dispatchEvent(new Event('input', { bubbles: true }));
    }
  });
  await state(page, 'done');
  expect(await pixelSum(page)).toBe(wanted);
});

test('several pictures: each keeps its scores, the first is shown', async ({ page }) => {
  await open(page);
  const pictures = samples();
  await pick(page, ...pictures);
  await state(page, 'done');
  const tray = page.locator('#tray button');
  await expect(tray).toHaveCount(pictures.length);
  expect((await report(page)).picture.name).toBe(path.basename(pictures[0] ?? ''));
  await expect(page.locator('#tray [data-waiting]')).toHaveCount(0);
  await tray.last().click();
  await state(page, 'done');
  expect((await report(page)).picture.name).toBe(path.basename(pictures.at(-1) ?? ''));
});

test('a shipped sample, by keyboard alone', async ({ page }) => {
  await open(page);
  const first = part(page, 'sample-picture').first();
  await first.focus();
  await page.keyboard.press('Enter');
  await state(page, 'done');
  await part(page, 'class-select').focus();
  const before = await report(page);
  await page.keyboard.press(before.explained.index === 0 ? 'ArrowDown' : 'ArrowUp');
  await state(page, 'done');
  expect((await report(page)).explained.index).not.toBe(before.explained.index);
  await part(page, 'opacity').focus();
  await page.keyboard.press('End');
  await state(page, 'done');
  await expect(page.locator('#opacity-value')).toHaveText('100 %');
});

test('a picture chosen while the model is still on its way is done afterwards', async ({
  page,
}) => {
  await page.goto('./');
  await pick(page, sample());
  await state(page, 'done');
  expect((await report(page)).picture.name).toBe(path.basename(sample()));
});

test('dropped and pasted pictures are taken', async ({ page }) => {
  await open(page);
  for (const kind of ['drop', 'paste'] as const) {
    await page.evaluate(async (kind) => {
      const source = document.querySelector<HTMLImageElement>('[data-testid=sample-picture] img');
      const blob = await (await fetch(source?.src ?? '')).blob();
      const data = new DataTransfer();
      data.items.add(new File([blob], `${kind}.jpg`, { type: blob.type }));
      const zone = document.querySelector('[data-testid=drop-zone]');
      zone?.dispatchEvent(
        kind === 'drop'
          ? new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
          : new ClipboardEvent('paste', { clipboardData: data, bubbles: true }),
      );
    }, kind);
    await expect(page.locator('#tray button', { hasText: `${kind}.jpg` })).toBeVisible();
    await state(page, 'done');
    expect((await report(page)).picture.name).toBe(`${kind}.jpg`);
  }
});
