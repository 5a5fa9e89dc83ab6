/** Every method of the page: its report holds on the command line; those with many passes tell how far they are and can be stopped. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, open, part, pick, report, sample, state, test, verify } from './fixtures.ts';

/** What takes minutes in a tab. */
const slow = ['rise', 'score-cam'];

test('reports by every method hold on the command line', async ({ page }, info) => {
  test.setTimeout(240_000);
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  const menu = part(page, 'method-select');
  const methods = await menu
    .locator('option')
    .evaluateAll((options) => options.map((option) => (option as HTMLOptionElement).value));
  expect(methods.length).toBeGreaterThan(15);
  const lines: string[] = [];
  for (const method of methods.filter((method) => !slow.includes(method))) {
    await menu.selectOption(method);
    await expect(async () => expect((await report(page)).method).toBe(method)).toPass();
    await state(page, 'done');
    lines.push(JSON.stringify(await report(page)));
  }
  const file = info.outputPath('claims.jsonl');
  writeFileSync(file, lines.join('\n'));
  const { verdicts } = verify(file, path.dirname(sample()));
  const wrong = verdicts.filter(({ verdict }) => verdict !== 'holds');
  expect(wrong).toEqual([]);
  expect(verdicts).toHaveLength(lines.length);
});

test('a method with many passes says how far it is, and stops when told', async ({ page }) => {
  let models = 0;
  page.on('request', (request) => (models += Number(request.url().endsWith('.onnx'))));
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  const loaded = models;
  await part(page, 'method-select').selectOption('rise');
  await state(page, 'running');
  await expect(page.locator('#progress-amount')).toContainText(/\d+ of 1000 passes/);
  await page.getByRole('button', { name: /stop/i }).click();
  await expect(part(page, 'status')).not.toHaveAttribute('data-state', 'running');
  await part(page, 'method-select').selectOption('hires-cam');
  await expect(async () => expect((await report(page)).method).toBe('hires-cam')).toPass();
  await state(page, 'done');
  // The engine ended between two passes and has its model still.
  expect(models).toBe(loaded);
});
