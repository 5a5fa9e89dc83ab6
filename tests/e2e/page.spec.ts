/** The page itself: privacy, exports, accessibility, a subfolder, and how it looks. */
import { mkdtempSync, readFileSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  commandLineReport,
  dist,
  expect,
  expectAccessible,
  expectFitting,
  open,
  part,
  pick,
  report,
  root,
  sample,
  samples,
  serve,
  state,
  test,
} from './fixtures.ts';

test('nothing leaves: no request off the origin, none with a body, and none needed once loaded', async ({
  page,
  context,
  address,
}) => {
  const requests: { url: string; method: string; body: boolean }[] = [];
  context.on('request', (request) =>
    requests.push({
      url: request.url(),
      method: request.method(),
      body: request.postDataBuffer() !== null,
    }),
  );
  await open(page);
  await pick(page, ...samples());
  await state(page, 'done');
  await part(page, 'class-select').selectOption({ index: 1 });
  await state(page, 'done');
  const loaded = requests.length;
  expect(requests.some(({ url }) => url.endsWith('model.onnx'))).toBe(true);
  for (const { url, method, body } of requests) {
    expect(url.startsWith(address) || url.startsWith('blob:') || url.startsWith('data:')).toBe(
      true,
    );
    expect([url, method, body]).toEqual([url, 'GET', false]);
  }

  await context.setOffline(true);
  await pick(page, sample(2));
  await state(page, 'done');
  expect((await report(page)).picture.name).toBe(path.basename(sample(2)));
  await part(page, 'method-select').selectOption({ index: 1 });
  await part(page, 'layer-select').selectOption({ index: 0 });
  await state(page, 'done');
  const later = requests.slice(loaded).filter(({ url }) => !url.startsWith('blob:'));
  expect(later).toEqual([]);
});

test('the page keeps the rules it sets for itself', async ({ page, address }) => {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const response = await page.goto(address);
  expect(response?.headers()['content-security-policy']).toContain("default-src 'none'");
  await state(page, 'ready');
  await pick(page, sample());
  await state(page, 'done');
  expect(await page.evaluate(() => window.crossOriginIsolated)).toBe(true);
  expect(complaints).toEqual([]);
});

test('exports: overlay, figure, raw map and report', async ({ page }) => {
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  const stem = path.parse(sample()).name;
  const found = await report(page);
  const { width, height } = found.picture;

  const png = await saved(page, 'export-png', `${stem}.overlay.png`);
  expect(png.subarray(1, 4).toString('latin1')).toBe('PNG');
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([width, height]);

  const figure = await saved(page, 'export-figure', `${stem}.figure.png`);
  expect(figure.subarray(1, 4).toString('latin1')).toBe('PNG');
  expect(figure.readUInt32BE(16)).toBeGreaterThan(2 * width);

  const map = await saved(page, 'export-map', `${stem}.map.npy`);
  expect(map.subarray(1, 6).toString('latin1')).toBe('NUMPY');
  const values = map.subarray(map.length - 4 * found.map.values.length);
  const floats = found.map.values.map((_, at) => values.readFloatLE(4 * at));
  expect(floats).toEqual(found.map.values.map(Math.fround));

  const json = await saved(page, 'export-report', `${stem}.report.json`);
  expect(JSON.parse(json.toString('utf8'))).toEqual(found);
  expect(Object.keys(found).sort()).toEqual(Object.keys(commandLineReport(sample())).sort());
});

async function saved(
  page: Parameters<typeof part>[0],
  button: string,
  name: string,
): Promise<Buffer> {
  const [download] = await Promise.all([page.waitForEvent('download'), part(page, button).click()]);
  expect(download.suggestedFilename()).toBe(name);
  return readFileSync(await download.path());
}

test('it works from a subfolder', async ({ page }) => {
  const outer = mkdtempSync(path.join(tmpdir(), 'gradlens-'));
  symlinkSync(dist, path.join(outer, 'tools'));
  const { server, address } = await serve(outer);
  try {
    await page.goto(`${address}tools/`);
    await state(page, 'ready');
    await part(page, 'sample-picture').first().click();
    await state(page, 'done');
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

for (const scheme of ['light', 'dark'] as const) {
  for (const width of [360, 1600]) {
    test(`${scheme}, ${width} px: accessible, nothing sticks out`, async ({ page }) => {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height: width === 360 ? 780 : 1000 });
      await open(page);
      await expectAccessible(page);
      await page.screenshot({
        path: `test-results/page-${width}-${scheme}-empty.png`,
        fullPage: true,
      });
      await pick(page, ...samples(), { name: 'bad.png', mimeType: '', buffer: Buffer.from('bad') });
      await state(page, 'done');
      await expectAccessible(page);
      await part(page, 'opacity').scrollIntoViewIfNeeded();
      await page.screenshot({ path: `test-results/page-${width}-${scheme}.png`, fullPage: true });
      await part(page, 'model-input').setInputFiles(
        path.join(root, 'tests', 'fixtures', 'zoo', 'swin.onnx'),
      );
      await expect(page.locator('#settings-reasons li')).not.toHaveCount(0);
      await state(page, 'done');
      await page.getByText('As JSON').click();
      await expectAccessible(page);
      await page.screenshot({
        path: `test-results/page-${width}-${scheme}-settings.png`,
        fullPage: true,
      });
      await expectFitting(page, width);
    });
  }
}
