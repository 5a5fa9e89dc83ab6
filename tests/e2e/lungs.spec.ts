/** The segmenter that looks first: the crop around the lungs, and the warning before any score. */
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
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

/** A folder with the shipped classifier, told to see lungs only. */
function seeingLungs(): string[] {
  const folder = mkdtempSync(path.join(tmpdir(), 'gradlens-lungs-'));
  const shipped = (name: string): string => path.join(root, 'models', 'covid-xray', name);
  const manifest = JSON.parse(readFileSync(shipped('manifest.json'), 'utf8')) as {
    preprocessing: { crop: string };
    companion?: object;
  };
  manifest.preprocessing.crop = 'lungs';
  manifest.companion = { model: 'lungs', crop_margin: 0.06, gate: true };
  const files = ['model.onnx', 'manifest.json'].map((name) => path.join(folder, name));
  copyFileSync(shipped('model.onnx'), files[0] ?? '');
  writeFileSync(files[1] ?? '', JSON.stringify(manifest));
  return files;
}

test('the box around the lungs is that of the command line', async ({ page }) => {
  const files = seeingLungs();
  await open(page);
  await part(page, 'model-input').setInputFiles(files);
  await expect(page.locator('#model-guess')).toBeHidden();
  await pick(page, sample(), sample(1));
  await state(page, 'done');
  const found = await report(page);
  const expected = commandLineReport(sample(), '--model', path.dirname(files[0] ?? ''));
  expect(found['preprocessing']).toEqual(expected['preprocessing']);
  const [here, there] = [found, expected].map(
    (report) =>
      report['companion'] as { sha256: string; lungs_found: boolean; gate: { logit: number } },
  );
  expect([here?.sha256, here?.lungs_found]).toEqual([there?.sha256, there?.lungs_found]);
  expect(here?.gate.logit).toBeCloseTo(there?.gate.logit ?? NaN, 3);
});

test('what is no chest X-ray is said before the scores', async ({ page }) => {
  await open(page);
  await part(page, 'model-input').setInputFiles(seeingLungs());
  await expect(page.locator('#model-guess')).toBeHidden();
  await pick(page, named('page.png', await page.screenshot()));
  await state(page, 'done');
  await expect(part(page, 'warning')).toContainText('page.png does not look like');
  await expect(part(page, 'warning')).toContainText('mean nothing');
});
