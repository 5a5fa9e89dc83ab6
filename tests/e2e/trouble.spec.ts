/** Bad input and broken engines: an error that names the file and the reason, and a page that goes on working. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  expect,
  hugePng,
  named,
  open,
  part,
  pick,
  report,
  root,
  sample,
  samples,
  state,
  test,
} from './fixtures.ts';

const picture = (): Buffer => readFileSync(sample());

const bad = [
  { what: 'not a picture', file: () => named('notes.pdf', Buffer.from('%PDF-1.7 nothing here')) },
  { what: 'truncated', file: () => named('half.jpg', picture().subarray(0, 5000)) },
  { what: 'empty', file: () => named('empty.png', Buffer.alloc(0)) },
  { what: 'a header of 60,000 x 60,000', file: () => named('huge.png', hugePng(60_000)) },
  {
    what: 'text with a picture’s name',
    file: () => named('text.jpg', Buffer.from('just words\n')),
  },
];

for (const { what, file } of bad) {
  test(`${what}: an error that names the file, and the page goes on`, async ({ page }) => {
    await open(page);
    const wrong = file();
    await pick(page, wrong);
    await state(page, 'error');
    await expect(part(page, 'error')).toContainText(wrong.name);
    const text = (await part(page, 'error').innerText()).trim();
    expect(text.length).toBeGreaterThan(wrong.name.length + 10);
    expect(text).not.toMatch(/unreachable|panick|undefined|\[object/);
    expect(await page.evaluate(() => window.gradlens.report())).toBeNull();
    await pick(page, sample());
    await state(page, 'done');
    await expect(part(page, 'error')).toBeHidden();
  });
}

test('bad files among good ones: the good ones are done', async ({ page }) => {
  await open(page);
  const wrong = bad.map(({ file }) => file());
  const [first = '', second = ''] = samples();
  await pick(page, wrong[0] ?? first, first, ...wrong.slice(1), second);
  await state(page, 'done');
  for (const { name } of wrong) await expect(part(page, 'error')).toContainText(name);
  await expect(page.locator('#tray button')).toHaveCount(2);
  expect((await report(page)).picture.name).toBe(path.basename(first));
});

test('models that are none: an error that names the file, and the old model stays', async ({
  page,
}) => {
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  const before = await report(page);
  const shipped = readFileSync(path.join(root, 'models', 'covid-xray', 'model.onnx'));
  const wrong = [
    named('words.onnx', Buffer.from('this is not a model')),
    named('nothing.onnx', Buffer.alloc(0)),
    named('half.onnx', shipped.subarray(0, 100_000)),
    named('noise.onnx', Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 7919) % 251))),
  ];
  for (const file of wrong) {
    await part(page, 'model-input').setInputFiles(file);
    await state(page, 'error');
    await expect(part(page, 'error')).toContainText(file.name);
    await expect(part(page, 'error')).not.toContainText('unreachable');
  }
  await part(page, 'model-input').setInputFiles([
    named('good.onnx', shipped),
    named('manifest.json', Buffer.from('{ "schema": 1 ')),
  ]);
  await state(page, 'error');
  await pick(page, sample());
  await state(page, 'done');
  expect((await report(page)).scores).toEqual(before.scores);
});

test('an operator that the page leaves out: an error that names it and the command that has it', async ({
  page,
}) => {
  await open(page);
  const model = readFileSync(path.join(root, 'models', 'covid-xray', 'model.onnx'));
  // As long as the operator that it stands for, so that the file stays sound.
  model.write('LSTM', model.indexOf('\u0004Conv') + 1);
  await part(page, 'model-input').setInputFiles(named('recurrent.onnx', model));
  await state(page, 'error');
  await expect(part(page, 'error')).toContainText(/recurrent\.onnx.*LSTM.*gradlens command/);
});

test('one’s own model: guessed without a manifest, as shipped with it', async ({ page }) => {
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  const before = await report(page);
  const folder = path.join(root, 'models', 'covid-xray');
  const model = named('mine.onnx', readFileSync(path.join(folder, 'model.onnx')));
  const manifest = named('manifest.json', readFileSync(path.join(folder, 'manifest.json')));
  await part(page, 'model-input').setInputFiles(model);
  await state(page, 'loading', 'running');
  await state(page, 'done');
  await expect(page.locator('#model-guess')).toBeVisible();
  await expect(part(page, 'scores').locator('tbody tr')).toHaveCount(before.scores.length);
  await page.getByText('As JSON').click();
  await page.locator('#manifest').fill(manifest.buffer.toString('utf8'));
  await page.locator('#manifest-apply').click();
  await state(page, 'loading', 'running');
  await state(page, 'done');
  await expect(page.locator('#model-guess')).toBeHidden();
  expect((await report(page)).scores).toEqual(before.scores);
  await part(page, 'model-input').setInputFiles([model, manifest]);
  await state(page, 'loading', 'running');
  await state(page, 'done');
  await expect(page.locator('#model-guess')).toBeHidden();
  const after = await report(page);
  expect(after.scores).toEqual(before.scores);
  expect(after.map).toEqual(before.map);
});

test('an engine that breaks is started again', async ({ page }) => {
  await page.addInitScript(() => {
    const workers: Worker[] = [];
    const Original = window.Worker;
    window.Worker = class extends Original {
      constructor(address: string | URL, options?: WorkerOptions) {
        super(address, options);
        workers.push(this);
      }
    };
    Object.assign(window, { workers });
  });
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  await pick(page, sample(1));
  await page.evaluate(() => {
    const { workers } = window as unknown as { workers: Worker[] };
    workers.at(-1)?.dispatchEvent(new ErrorEvent('error', { message: 'unreachable' }));
  });
  await expect(part(page, 'error')).toContainText(path.basename(sample(1)));
  await expect(part(page, 'error')).toContainText('started again');
  await state(page, 'error');
  await pick(page, sample(1));
  await state(page, 'done');
  expect((await report(page)).picture.name).toBe(path.basename(sample(1)));
});

test('a model that cannot be downloaded: said, and one’s own still works', async ({ page }) => {
  await page.route('**/covid-xray/model.onnx', (route) => route.fulfill({ status: 503 }));
  await page.goto('./');
  await state(page, 'error');
  await expect(part(page, 'error')).toContainText('model.onnx');
  const folder = path.join(root, 'models', 'covid-xray');
  await part(page, 'model-input').setInputFiles([
    path.join(folder, 'model.onnx'),
    path.join(folder, 'manifest.json'),
  ]);
  await state(page, 'ready');
});
