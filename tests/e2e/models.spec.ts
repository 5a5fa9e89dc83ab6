/** Models that others made: opened by picker and drop, the same as on the command line, with settings that are kept. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  commandLine,
  commandLineReport,
  expect,
  named,
  open,
  part,
  pick,
  report,
  root,
  sample,
  state,
  test,
} from './fixtures.ts';

const TOLERANCE = 1e-4;
const fixture = (name: string): string => path.join(root, 'tests', 'fixtures', name);
const ZOO = [
  'resnet-bottleneck',
  'densenet',
  'efficientnet',
  'mobilenet-v3',
  'vit-class-token',
  'swin',
];

for (const name of ZOO) {
  test(`${name}: opened and explained as on the command line`, async ({ page }) => {
    const file = fixture(`zoo/${name}.onnx`);
    await open(page);
    await part(page, 'model-input').setInputFiles(file);
    await state(page, 'ready');
    await expect(page.locator('#settings-reasons li')).not.toHaveCount(0);
    await pick(page, sample());
    await state(page, 'done');
    const found = await report(page);
    const expected = commandLineReport(sample(), '--model', file);
    expect([found.model, found.layer]).toEqual([expected.model, expected.layer]);
    for (const [at, { logit }] of expected.scores.entries()) {
      expect(Math.abs((found.scores[at]?.logit ?? NaN) - logit)).toBeLessThan(
        TOLERANCE * Math.max(1, Math.abs(logit)),
      );
    }
    const most = Math.max(...expected.map.values.map(Math.abs), Number.MIN_VALUE);
    const apart = expected.map.values.map((value, at) =>
      Math.abs((found.map.values[at] ?? NaN) - value),
    );
    expect(Math.max(...apart) / most).toBeLessThan(TOLERANCE);
  });
}

test('the gradient graph is the file that the command line writes', async ({ page }, testInfo) => {
  const model = fixture('zoo/efficientnet.onnx');
  await open(page);
  await part(page, 'model-input').setInputFiles(model);
  await expect(page.locator('#model-name')).toHaveText('efficientnet');
  await state(page, 'ready');
  await page.getByText('Gradient graph', { exact: true }).click();
  for (const [button, options] of [
    ['export-gradient', []],
    ['export-gradient-input', ['--input']],
  ] as const) {
    const download = page.waitForEvent('download');
    await part(page, button).click();
    const file = await download;
    expect(file.suggestedFilename()).toBe('efficientnet.gradient.onnx');
    const expected = testInfo.outputPath(`${button}.onnx`);
    commandLine('gradient', model, '--out', expected, ...options);
    expect(readFileSync(await file.path()).equals(readFileSync(expected))).toBe(true);
  }
});

test('another model of the page, and back', async ({ page }) => {
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  const first = await report(page);
  const select = part(page, 'shipped-select');
  await select.selectOption('shortcut-xray');
  await expect(page.locator('#model-name')).toContainText('Bad on purpose');
  await state(page, 'done');
  const bad = await report(page);
  const expected = commandLineReport(sample(), '--model', 'shortcut-xray');
  expect([bad.model, bad.layer]).toEqual([expected.model, expected.layer]);
  await select.selectOption('covid-xray');
  await expect(page.locator('#model-name')).not.toContainText('Bad on purpose');
  await state(page, 'done');
  expect((await report(page)).scores).toEqual(first.scores);
  await part(page, 'model-input').setInputFiles(fixture('formats/plain.onnx'));
  await expect(page.locator('#model-name')).toHaveText('plain');
  await expect(select).toHaveValue('');
});

test('settings by form: checked, at once, kept after a reload, forgotten', async ({ page }) => {
  const model = fixture('formats/plain.onnx');
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  await part(page, 'model-input').setInputFiles(model);
  await expect(page.locator('#model-guess')).toBeVisible();
  await state(page, 'done');
  const first = await report(page);
  await page.locator('#preset').selectOption('signed');
  await expect(page.locator('#model-guess')).toBeHidden();
  await state(page, 'done');
  expect((await report(page)).scores).not.toEqual(first.scores);

  await page.locator('#labels').fill('cat\ndog');
  await page.locator('#labels').blur();
  await expect(page.locator('#labels-problem')).toContainText('2 labels');
  await page.locator('#labels').fill('cat\ndog\ncow');
  await page.locator('#labels').blur();
  await expect(part(page, 'scores').locator('tbody tr').nth(2)).toHaveAttribute(
    'data-label',
    'cow',
  );
  await page.locator('#squash-select').selectOption('sigmoid');
  await state(page, 'done');
  await page.locator('#std').fill('x');
  await page.locator('#std').blur();
  await expect(page.locator('#std-problem')).toContainText('Numbers');
  const changed = await report(page);

  await open(page);
  await part(page, 'model-input').setInputFiles(model);
  await expect(page.locator('#settings-hint')).toContainText('kept in this browser');
  await pick(page, sample());
  await state(page, 'done');
  expect((await report(page)).scores).toEqual(changed.scores);
  await page.getByText('Model settings').click();
  await page.locator('#settings-forget').click();
  await expect(page.locator('#model-guess')).toBeVisible();
  await state(page, 'done');
  expect((await report(page)).scores).toEqual(first.scores);
});

test('data and labels beside a model, dropped together; without them the file is named', async ({
  page,
}) => {
  await open(page);
  const files = ['external.onnx', 'external.onnx.data'].map((name) => ({
    name,
    bytes: [...readFileSync(fixture(`formats/${name}`))],
  }));
  const drop = (given: typeof files): Promise<void> =>
    page.evaluate((given) => {
      const data = new DataTransfer();
      for (const { name, bytes } of given) data.items.add(new File([new Uint8Array(bytes)], name));
      const zone = document.querySelector('[data-testid=drop-zone]');
      zone?.dispatchEvent(
        new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }),
      );
    }, given);
  await drop(files.slice(0, 1));
  await state(page, 'error');
  await expect(part(page, 'error')).toContainText("'external.onnx.data' is missing");
  await expect(page.locator('#model-name')).not.toContainText('external');
  const labels = { name: 'labels.txt', bytes: [...Buffer.from('0: a\n1: b\n2: c')] };
  await drop([...files, labels]);
  await expect(page.locator('#model-name')).toHaveText('external');
  await pick(page, sample());
  await state(page, 'done');
  const found = await report(page);
  const expected = commandLineReport(sample(), '--model', fixture('formats/external.onnx'));
  expect(found.scores.map(({ label }) => label)).toEqual(['a', 'b', 'c']);
  for (const [at, { logit }] of expected.scores.entries()) {
    expect(Math.abs((found.scores[at]?.logit ?? NaN) - logit)).toBeLessThan(TOLERANCE);
  }
});

test('a hostile model leaves the one before it working', async ({ page }) => {
  await open(page);
  await part(page, 'model-input').setInputFiles(fixture('formats/undecided.onnx'));
  await state(page, 'error');
  await expect(part(page, 'error')).toContainText('(If)');
  await part(page, 'model-input').setInputFiles(
    named('cut.onnx', readFileSync(fixture('zoo/swin.onnx')).subarray(0, 5000)),
  );
  await state(page, 'error');
  await pick(page, sample());
  await state(page, 'done');
});
