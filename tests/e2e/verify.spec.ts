/** A browser's report is a claim: the command line makes it again, and its signature tells whether it was changed. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from '@playwright/test';
import type { Report } from '../../www/src/types.ts';
import { expect, open, part, pick, samples, state, test, verify, xrays } from './fixtures.ts';

async function saved(page: Page, to: string): Promise<string> {
  const download = page.waitForEvent('download');
  await part(page, 'export-report').click();
  await (await download).saveAs(to);
  return to;
}

test('reports of the page hold on the command line, whatever was asked', async ({ page }, info) => {
  await open(page);
  const pictures = [...samples(), ...xrays().slice(0, 4)];
  const lines: string[] = [];
  for (const [at, picture] of pictures.entries()) {
    await pick(page, picture);
    await state(page, 'done');
    await part(page, 'class-select').selectOption({ index: at % 3 });
    await state(page, 'done');
    if (at === 1) {
      await part(page, 'method-select').selectOption('guided-grad-cam-article');
      await state(page, 'done');
    }
    lines.push(JSON.stringify(await page.evaluate(() => window.gradlens.report())));
  }
  const file = info.outputPath('claims.jsonl');
  writeFileSync(file, lines.join('\n'));
  for (const folder of new Set(pictures.map((picture) => path.dirname(picture)))) {
    const here = pictures.flatMap((picture, at) => (path.dirname(picture) === folder ? [at] : []));
    writeFileSync(file, here.map((at) => lines[at]).join('\n'));
    const { status, verdicts } = verify(file, folder, '--tolerance', '1e-4');
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(here.map(() => 'holds'));
    expect(status).toBe(0);
  }
});

test('a report signed in the browser: whole it holds, changed it does not', async ({
  page,
}, info) => {
  await open(page);
  const picture = samples()[0] ?? '';
  await pick(page, picture);
  await state(page, 'done');
  await page.locator('#sign').check();
  await expect(page.locator('#sign-key')).toContainText('Public key: ');
  const key = (await page.locator('#sign-key').innerText()).replace('Public key: ', '');
  const file = await saved(page, info.outputPath('signed.json'));
  expect(verify(file, path.dirname(picture), '--key', key).status).toBe(0);
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  report.engine.version = '0';
  writeFileSync(file, JSON.stringify(report));
  const { status, verdicts } = verify(file, path.dirname(picture), '--key', key);
  expect([status, verdicts[0]?.differences[0]?.what]).toEqual([1, 'signature']);

  // The key stays with the browser.
  await open(page);
  await pick(page, picture);
  await state(page, 'done');
  await page.locator('#sign').check();
  await expect(page.locator('#sign-key')).toHaveText(`Public key: ${key}`);
});
