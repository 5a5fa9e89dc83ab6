/** The main jobs in Firefox: a picture in, scores and a map out as on the command line, files to keep, and all of it without network. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@playwright/test';
import type { Report } from '../../www/src/types.ts';
import { commandLineReport, dist, sample, samples } from '../e2e/fixtures.ts';
import { Host } from '../e2e/host.ts';
import { Firefox } from './driver.ts';

test.describe.configure({ mode: 'serial' });

const downloads = mkdtempSync(path.join(tmpdir(), 'gradlens-'));
const host = new Host(dist, '/tools/');
let firefox: Firefox;

test.beforeAll(async () => {
  await host.start();
  firefox = await Firefox.start(downloads);
});

test.afterAll(async () => {
  await firefox?.stop();
  await host.stop().catch(() => {});
});

function byId(id: string): string {
  return `[data-testid="${id}"]`;
}

async function state(...wanted: string[]): Promise<void> {
  const status = (): Promise<string> =>
    firefox.run('return document.querySelector(arguments[0]).dataset.state', byId('status'));
  await expect.poll(status).toMatch(new RegExp(`^(${wanted.join('|')})$`));
}

/** As text: the protocol's own numbers are not the page's to the last digit. */
async function report(): Promise<Report> {
  const text = await firefox.run<string>(
    'return JSON.stringify(window.gradlens?.report() ?? null)',
  );
  return JSON.parse(text) as Report;
}

async function choose(id: string, index: number): Promise<void> {
  await firefox.run(
    `const select = document.querySelector(arguments[0]);
     select.selectedIndex = arguments[1];
     select.dispatchEvent(new Event('change', { bubbles: true }));`,
    byId(id),
    index,
  );
}

/** Picks files and waits until the first of them is shown. */
async function pick(...files: string[]): Promise<void> {
  await firefox.type(byId('picture-input'), files.join('\n'));
  const shown = async (): Promise<string | undefined> => (await report())?.picture.name;
  await expect.poll(shown).toBe(path.basename(files[0] ?? ''));
  await state('done');
}

function expectSame(page: Report, terminal: Report): void {
  expect([page.picture, page.model]).toEqual([terminal.picture, terminal.model]);
  expect([page.explained, page.layer]).toEqual([terminal.explained, terminal.layer]);
  for (const [index, { logit }] of terminal.scores.entries()) {
    expect(Math.abs((page.scores[index]?.logit ?? NaN) - logit)).toBeLessThan(1e-4);
  }
  const most = Math.max(...terminal.map.values.map(Math.abs));
  const apart = terminal.map.values.map((value, at) =>
    Math.abs((page.map.values[at] ?? NaN) - value),
  );
  expect(Math.max(...apart) / most).toBeLessThan(1e-4);
}

test('it loads, and a sample is scored and explained as on the command line', async () => {
  await firefox.go(host.address);
  await state('ready');
  await firefox.click(byId('sample-picture'));
  await state('done');
  expectSame(await report(), commandLineReport(sample()));
  const rows = await firefox.run<number>(
    'return document.querySelectorAll(arguments[0]).length',
    `${byId('scores')} tbody tr`,
  );
  expect(rows).toBe((await report()).scores.length);
});

test('another class: another map, as on the command line', async () => {
  const { explained, map } = await report();
  await choose('class-select', explained.index === 0 ? 1 : 0);
  await expect.poll(async () => (await report()).explained.index).not.toBe(explained.index);
  await state('done');
  const other = await report();
  expect(other.map.values).not.toEqual(map.values);
  expectSame(other, commandLineReport(sample(), '--class', other.explained.label));
});

test('files of this computer: chosen and dropped', async () => {
  const pictures = samples().slice(1, 3);
  await pick(...pictures);
  expectSame(await report(), commandLineReport(pictures[0] ?? ''));
  await firefox.run(
    `const image = document.querySelector(arguments[0] + ' img');
     const blob = await (await fetch(image.src)).blob();
     const data = new DataTransfer();
     data.items.add(new File([blob], 'dropped.jpg', { type: blob.type }));
     document.querySelector(arguments[1]).dispatchEvent(
       new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));`,
    byId('sample-picture'),
    byId('drop-zone'),
  );
  await expect.poll(async () => (await report())?.picture.name).toBe('dropped.jpg');
  await state('done');
});

test('a file that is no picture: said, and the page goes on', async () => {
  const bad = path.join(downloads, 'bad.png');
  writeFileSync(bad, 'no picture');
  await firefox.type(byId('picture-input'), bad);
  await state('error');
  const error = await firefox.run<string>(
    'return document.querySelector(arguments[0]).innerText',
    byId('error'),
  );
  expect(error).toContain('bad.png');
  await pick(sample(3));
});

test('the report and the overlay are saved', async () => {
  const stem = path.parse(sample(3)).name;
  const whole = (name: string): boolean =>
    existsSync(path.join(downloads, name)) && !existsSync(path.join(downloads, `${name}.part`));
  await firefox.click(byId('export-report'));
  await expect.poll(() => whole(`${stem}.report.json`)).toBe(true);
  const saved = readFileSync(path.join(downloads, `${stem}.report.json`), 'utf8');
  expect(JSON.parse(saved)).toEqual(await report());
  await firefox.click(byId('export-png'));
  await expect.poll(() => whole(`${stem}.overlay.png`)).toBe(true);
  const png = readFileSync(path.join(downloads, `${stem}.overlay.png`));
  expect(png.subarray(1, 4).toString('latin1')).toBe('PNG');
});

test('nothing was asked of anyone else', async () => {
  const asked = await firefox.run<string[]>(
    `return performance.getEntriesByType('resource').map(({ name }) => name)`,
  );
  expect(asked.length).toBeGreaterThan(3);
  expect(asked.filter((url) => !url.startsWith(host.address) && !/^blob:/.test(url))).toEqual([]);
});

test('without server: loaded again and the main job done, isolated by the service worker', async () => {
  const kept = (): Promise<string> =>
    firefox.run('return document.querySelector(arguments[0]).innerText', byId('offline'));
  await expect.poll(kept).toContain('without network');
  await host.stop();
  await firefox.run('setTimeout(() => location.reload())');
  await expect.poll(report).toBeNull();
  await state('ready');
  await expect.poll(kept).toContain('without network');
  expect(await firefox.run('return window.crossOriginIsolated')).toBe(true);
  await pick(sample(1));
  expectSame(await report(), commandLineReport(sample(1)));
  await firefox.go(`${host.address}?again`);
  await state('ready');
  await firefox.click(byId('sample-picture'));
  await state('done');
});
