/** Two explanations of one picture: classes, layers, methods and models, each B as on the command line, and all of it gone at the end. */
import path from 'node:path';
import type { Page } from '@playwright/test';
import type { Report } from '../../www/src/types.ts';
import {
  commandLineReport,
  expect,
  open,
  part,
  pick,
  report,
  root,
  sample,
  state,
  test,
  xrays,
} from './fixtures.ts';

async function compared(page: Page): Promise<Report> {
  await expect(part(page, 'compare-status')).toHaveAttribute('data-state', 'done');
  const found = await page.evaluate(() => window.gradlens.compared());
  if (!found) throw new Error('the page has no second report');
  return found;
}

/** Waits until B answers what was chosen. */
async function chosen(page: Page, holds: (b: Report) => boolean): Promise<Report> {
  await expect.poll(async () => holds(await compared(page))).toBe(true);
  return compared(page);
}

function expectSameMap(found: Report, expected: Report): void {
  expect([found.explained.label, found.method, found.layer, found.model.id]).toEqual([
    expected.explained.label,
    expected.method,
    expected.layer,
    expected.model.id,
  ]);
  const most = Math.max(...expected.map.values.map(Math.abs), Number.MIN_VALUE);
  const apart = expected.map.values.map((value, at) =>
    Math.abs((found.map.values[at] ?? NaN) - value),
  );
  expect(Math.max(...apart) / most).toBeLessThan(1e-3);
}

/** Spearman's correlation by its definition: Pearson's of the ranks, equals sharing theirs. */
function spearman(a: number[], b: number[]): number {
  const ranks = (values: number[]): number[] =>
    values.map((value) => {
      const below = values.filter((other) => other < value).length;
      return below + (values.filter((other) => other === value).length - 1) / 2;
    });
  const [x, y] = [ranks(a), ranks(b)];
  const mean = (a.length - 1) / 2;
  let [both, first, second] = [0, 0, 0];
  for (const [at, rank] of x.entries()) {
    both += (rank - mean) * ((y[at] ?? 0) - mean);
    first += (rank - mean) ** 2;
    second += ((y[at] ?? 0) - mean) ** 2;
  }
  return both / Math.sqrt(first * second);
}

test('two classes, methods and layers: B as on the command line, with a number for how alike', async ({
  page,
}) => {
  const picture = xrays()[0] ?? sample();
  await open(page);
  await pick(page, picture);
  await state(page, 'done');
  await part(page, 'compare').click();
  const a = await report(page);
  const b = await compared(page);
  expect(b.explained.index).not.toBe(a.explained.index);
  expectSameMap(b, commandLineReport(picture, '--class', b.explained.label));
  const alike = part(page, 'compare-alike');
  const number = spearman(a.map.values.map(Math.fround), b.map.values.map(Math.fround));
  await expect(alike).toContainText(`rank correlation ${number.toFixed(2)}`);

  await part(page, 'compare-class').selectOption(a.explained.label);
  const same = await chosen(page, ({ explained }) => explained.label === a.explained.label);
  expect(same.map.values).toEqual(a.map.values);
  await expect(alike).toContainText('rank correlation 1.00');

  await part(page, 'compare-method').selectOption('hires-cam');
  expectSameMap(
    await chosen(page, ({ method }) => method === 'hires-cam'),
    commandLineReport(picture, '--class', a.explained.label, '--method', 'hires-cam'),
  );
  await part(page, 'compare-method').selectOption('gradient');
  await chosen(page, ({ method }) => method === 'gradient');
  // A map of 7 x 7 and one of 224 x 224 meet on the finer grid.
  await expect(alike).toContainText(/rank correlation -?0\.\d\d/);
  await expect(part(page, 'compare-layer')).toBeDisabled();
  await part(page, 'compare-method').selectOption('layer-cam');
  await expect(part(page, 'compare-layer')).toBeEnabled();
  const layers = await part(page, 'compare-layer')
    .locator('option')
    .evaluateAll((options) => options.map((option) => (option as HTMLOptionElement).value));
  const layer = layers.find((name) => name !== a.layer && name.startsWith('blocks.6')) ?? '';
  expect(layer).toBeTruthy();
  await part(page, 'compare-layer').selectOption(layer);
  const deeper = await chosen(page, (found) => found.layer === layer);
  expect(deeper.method).toBe('layer-cam');

  // A goes on as it was, and so do the questions to it.
  expect(await report(page)).toEqual(a);
});

test('panels of A and B move together, and end with the comparing', async ({ page }) => {
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  // An engine with threads has workers of its own.
  const alone = page.workers().length;
  await part(page, 'contour').fill('0.5');
  await part(page, 'compare').click();
  await compared(page);
  expect(page.workers().length).toBeGreaterThan(alone);
  await expect(page.locator('.window:visible')).toHaveCount(2);
  const other = page.locator('[data-panel=other]');
  await expect(other.locator('.contour-line')).toHaveAttribute('d', /^M/);
  expect(await other.locator('.contour-line').getAttribute('d')).not.toBe(
    await page.locator('#panel-main .marks:not(.under) .contour-line').getAttribute('d'),
  );
  await other.locator('.window').focus();
  await page.keyboard.press('+');
  await page.keyboard.press('Shift+ArrowLeft');
  const places = await page
    .locator('.window:visible .sheet')
    .evaluateAll((sheets) => sheets.map((sheet) => sheet.getAttribute('style')));
  expect(places[0]).toContain('--zoom: 1.25');
  expect(places[1]).toBe(places[0]);
  await expect(page.locator('.cursor-mark:visible')).toHaveCount(2);
  await expect(part(page, 'readout')).toHaveText(/^A x \d+.* B x \d+/);

  // Another picture is compared as well.
  const before = await compared(page);
  await pick(page, sample(1));
  await state(page, 'done');
  const after = await chosen(page, (b) => b.picture.sha256 !== before.picture.sha256);
  expect(after.picture).toEqual((await report(page)).picture);

  await page.getByLabel('Swipe').check();
  await expect(page.locator('.window:visible')).toHaveCount(1);
  await expect(page.getByRole('slider', { name: 'Divider' })).toHaveAttribute(
    'aria-valuetext',
    /A: .*B: /,
  );
  await page.getByRole('button', { name: 'End comparing' }).click();
  await expect.poll(() => page.workers().length).toBe(alone);
  await expect(part(page, 'compare')).toBeFocused();
  expect(await page.evaluate(() => window.gradlens.compared())).toBeNull();
});

test('two models: the second one’s map, and one that cannot be had is said', async ({ page }) => {
  const picture = sample(2);
  await page.route('**/covid-xray-inception/model.onnx', (route) => route.fulfill({ status: 503 }));
  await open(page);
  await pick(page, picture);
  await state(page, 'done');
  await part(page, 'compare').click();
  await compared(page);
  await part(page, 'compare-model').selectOption({ label: 'Covid-19, bad on purpose (7 MB)' });
  const b = await chosen(page, ({ model }) => model.id === 'shortcut-xray');
  expectSameMap(b, commandLineReport(picture, '--model', 'models/shortcut-xray'));
  await expect(part(page, 'compare-alike')).toContainText('rank correlation');

  await part(page, 'compare-model').selectOption({ label: 'Covid-19, InceptionV3 (44 MB)' });
  await expect(part(page, 'compare-status')).toHaveAttribute('data-state', 'error');
  await expect(part(page, 'compare-status')).toContainText('model.onnx');
  await expect(part(page, 'error')).toBeHidden();
  await part(page, 'compare-model').selectOption({ label: 'the same' });
  await chosen(page, ({ model }) => model.id === 'covid-xray');
});

test('one’s own model beside the page’s, and the other way round', async ({ page }) => {
  const own = path.join(root, 'tests', 'fixtures', 'zoo', 'swin.onnx');
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  await part(page, 'model-input').setInputFiles(own);
  await expect(page.locator('#model-name')).toHaveText('swin');
  await state(page, 'done');
  const alone = await report(page);
  await part(page, 'compare').click();
  await compared(page);
  await part(page, 'compare-model').selectOption({ label: 'Covid-19, EfficientNet-Lite0 (7 MB)' });
  await chosen(page, ({ model }) => model.id === 'covid-xray');
  // The map of what only one of them saw is left out.
  await expect(part(page, 'compare-alike')).toContainText('rank correlation');
  await part(page, 'shipped-select').selectOption('covid-xray');
  await state(page, 'done');
  await part(page, 'compare-model').selectOption({ label: 'swin.onnx' });
  const b = await chosen(page, ({ model }) => model.id === alone.model.id);
  expect([b.model, b.explained, b.map]).toEqual([alone.model, alone.explained, alone.map]);
});
