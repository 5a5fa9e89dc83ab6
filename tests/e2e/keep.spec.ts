/** What a visitor takes home: every file opened again and checked. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { strFromU8, unzipSync } from 'fflate';
import type { Report } from '../../www/src/types.ts';
import {
  commandLine,
  expect,
  named,
  open,
  part,
  pick,
  report,
  sample,
  samples,
  state,
  test,
} from './fixtures.ts';

interface Coco {
  info: { threshold: number; notice: string };
  images: { file_name: string; width: number; height: number; sha256: string }[];
  categories: { id: number; name: string }[];
  annotations: {
    category_id: number;
    segmentation: number[][];
    bbox: [number, number, number, number];
    area: number;
    score: number;
    attributes: { what: string; method: string; layer: string; threshold: number };
  }[];
}

/** Clicks and gives the file that comes: its name and where it lies. */
async function download(page: Page, id: string): Promise<{ name: string; file: string }> {
  const [download] = await Promise.all([page.waitForEvent('download'), part(page, id).click()]);
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'gradlens-keep-')), 'file');
  await download.saveAs(file);
  return { name: download.suggestedFilename(), file };
}

/** The value with its numbers in 32 bits. */
function single(value: unknown): unknown {
  const text = JSON.stringify(value);
  return JSON.parse(text, (_, part: unknown) =>
    typeof part === 'number' ? Math.fround(part) : part,
  );
}

/** Rows of RFC 4180. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(
    /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g,
  )) {
    rows.at(-1)?.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
    if (end === '\r\n') rows.push([]);
    if (end === '') break;
  }
  return rows.filter((row) => row.length > 1);
}

test('the one-file report opens offline with pictures, checks and plots, and verifies', async ({
  page,
  browser,
}) => {
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  await part(page, 'check-buttons').locator('[data-check="deletion"]').click();
  await expect(part(page, 'check-results').locator('article')).toHaveCount(1);
  await expect(page.locator('#check-progress')).toBeHidden();
  const { name, file } = await download(page, 'export-html');
  expect(name).toBe('synthetic-1.report.html');

  const folder = path.dirname(file);
  const html = path.join(folder, name);
  writeFileSync(html, readFileSync(file));
  const context = await browser.newContext({ offline: true });
  const opened = await context.newPage();
  const complaints: string[] = [];
  const asked: string[] = [];
  opened.on('console', (message) => complaints.push(message.text()));
  opened.on('request', (request) => asked.push(request.url()));
  await opened.goto(pathToFileURL(html).href);
  const sizes = await opened
    .locator('img')
    .evaluateAll((images: HTMLImageElement[]) => images.map((image) => image.naturalWidth));
  const found = await report(page);
  expect(sizes).toEqual([found.picture.width, found.picture.width, 224]);
  await expect(opened.locator('.notice')).toContainText('Not for diagnostic use');
  await expect(opened.locator('svg.plot circle')).toHaveCount(20);
  await expect(opened.locator('article')).toContainText('the probability of');
  await expect(opened.locator('tr.explained th')).toHaveText(found.explained.label);
  const own = await opened.locator('#gradlens-report').textContent();
  // The same 32-bit numbers, written with fewer digits.
  expect(single(JSON.parse(own ?? ''))).toEqual(single(found));
  expect(
    await opened.locator('svg.plot .plot-line').evaluate((line) => getComputedStyle(line).fill),
  ).toBe('none');
  for (const scheme of ['light', 'dark'] as const) {
    await opened.emulateMedia({ colorScheme: scheme });
    const { violations } = await new AxeBuilder({ page: opened }).analyze();
    expect(violations).toEqual([]);
    await opened.screenshot({ path: `test-results/report-${scheme}.png`, fullPage: true });
  }
  expect(complaints).toEqual([]);
  expect(asked.every((url) => url.startsWith('file:') || url.startsWith('data:'))).toBe(true);
  await context.close();
});

test('proposals are those of the command line, at the threshold that was asked for', async ({
  page,
}) => {
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  await page.locator('#export-threshold').fill('30');
  const { name, file } = await download(page, 'export-coco');
  expect(name).toBe('synthetic-1.coco.json');
  const coco = JSON.parse(readFileSync(file, 'utf8')) as Coco;
  const { label } = (await report(page)).explained;
  const out = mkdtempSync(path.join(tmpdir(), 'gradlens-coco-'));
  commandLine('explain', sample(), '--class', label, '--annotations', '0.3', '--out', out);
  const expected = JSON.parse(
    readFileSync(path.join(out, 'synthetic-1.coco.json'), 'utf8'),
  ) as Coco;
  expect(coco.images).toEqual(expected.images);
  expect(coco.categories).toEqual(expected.categories);
  expect(coco.info.threshold).toBe(0.3);
  expect(coco.annotations.length).toBe(expected.annotations.length);
  expect(coco.annotations.length).toBeGreaterThan(0);
  for (const [index, annotation] of coco.annotations.entries()) {
    const other = expected.annotations[index];
    expect(Math.abs(annotation.area / (other?.area ?? NaN) - 1)).toBeLessThan(0.01);
    for (const [at, side] of annotation.bbox.entries()) {
      expect(Math.abs(side - (other?.bbox[at] ?? NaN))).toBeLessThan(1);
    }
    expect(annotation.attributes.what).toBe('proposal, not a finding');
    expect(annotation.attributes.threshold).toBe(0.3);
  }
  await page.locator('#export-threshold').fill('0');
  await part(page, 'export-coco').click();
  await expect(page.locator('#export-threshold:invalid')).toBeVisible();
});

test('all pictures as a zip, and their scores as a table that is safe to open', async ({
  page,
}) => {
  await open(page);
  const bytes = readFileSync(sample(1));
  await pick(
    page,
    ...samples().slice(0, 2),
    named('=1+1,"x".jpg', bytes),
    named('synthetic-1.png', bytes),
    named('CON.jpg', bytes),
  );
  await expect(page.locator('#tray button')).toHaveCount(5);
  await expect(page.locator('#tray [data-waiting]')).toHaveCount(0);
  await state(page, 'done');
  const { name, file } = await download(page, 'export-all');
  expect(name).toBe('gradlens.zip');
  const files = unzipSync(new Uint8Array(readFileSync(file)));
  const stems = ['synthetic-1', 'synthetic-2', '=1+1,_x_', 'synthetic-1-2', 'picture_CON'];
  const endings = ['overlay.png', 'figure.png', 'map.npy', 'coco.json', 'report.json'];
  expect(Object.keys(files).sort()).toEqual(
    [...stems.flatMap((stem) => endings.map((ending) => `${stem}.${ending}`)), 'scores.csv'].sort(),
  );
  const read = (file: string): Uint8Array => files[file] ?? new Uint8Array();
  for (const stem of stems) {
    const own = JSON.parse(strFromU8(read(`${stem}.report.json`))) as Report;
    expect(own.schema).toBe('gradlens.report/1');
    const overlay = Buffer.from(read(`${stem}.overlay.png`));
    expect([overlay.readUInt32BE(16), overlay.readUInt32BE(20)]).toEqual([
      own.picture.width,
      own.picture.height,
    ]);
    expect(Buffer.from(read(`${stem}.figure.png`)).readUInt32BE(16)).toBe(3 * own.picture.width);
    expect(strFromU8(read(`${stem}.map.npy`).slice(1, 6))).toBe('NUMPY');
    const coco = JSON.parse(strFromU8(read(`${stem}.coco.json`))) as Coco;
    expect(coco.images[0]?.sha256).toBe(own.picture.sha256);
  }
  const shown = await report(page);
  expect(JSON.parse(strFromU8(read('synthetic-1.report.json')))).toEqual(shown);

  const csv = await download(page, 'export-csv');
  const text = readFileSync(csv.file, 'utf8');
  expect(text).toBe(strFromU8(read('scores.csv')));
  const [heads = [], ...rows] = parseCsv(text);
  expect(rows.length).toBe(5);
  expect(rows.every((row) => row.length === heads.length)).toBe(true);
  expect(rows[2]?.[0]).toBe(`'=1+1,"x".jpg`);
  expect(Number(rows[0]?.[heads.indexOf('probability_covid')])).toBeCloseTo(
    shown.scores.find(({ label }) => label === 'covid')?.probability ?? NaN,
    6,
  );
});

test('packing can be cancelled, and nothing is left of it', async ({ page }) => {
  await open(page);
  await pick(page, ...samples());
  await expect(page.locator('#tray [data-waiting]')).toHaveCount(0);
  await state(page, 'done');
  let downloads = 0;
  page.on('download', () => (downloads += 1));
  await part(page, 'export-all').click();
  await part(page, 'export-cancel').click();
  await expect(page.locator('#export-status')).toContainText('Packing was stopped');
  await expect(page.locator('#export-progress')).toBeHidden();
  expect(downloads).toBe(0);
  const { violations } = await new AxeBuilder({ page }).include('#export').analyze();
  expect(violations).toEqual([]);
});

test('nothing leaves: checks, boxes and every file ask the network for nothing', async ({
  page,
  context,
}) => {
  await open(page);
  await pick(page, sample());
  await state(page, 'done');
  await expect(part(page, 'check-facts')).toContainText('of the map');
  const requests: string[] = [];
  context.on('request', (request) => requests.push(request.url()));
  await context.setOffline(true);
  await part(page, 'check-buttons').locator('[data-check="deletion"]').click();
  await expect(part(page, 'check-results').locator('article')).toHaveCount(1);
  await page.locator('#hide-add').click();
  await expect(part(page, 'hide-result')).toBeVisible();
  for (const id of ['export-html', 'export-coco', 'export-all', 'export-csv']) {
    const { name } = await download(page, id);
    expect(name).not.toBe('');
  }
  expect(requests.filter((url) => !url.startsWith('blob:'))).toEqual([]);
});
