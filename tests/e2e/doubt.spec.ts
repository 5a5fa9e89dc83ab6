/** Is it to be believed: facts without a click, checks with plots and numbers, and the scores with boxes hidden. */
import { spawnSync } from 'node:child_process';
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import type { CheckEntry } from '../../www/src/doubt.ts';
import { binary, expect, open, part, pick, report, root, sample, state, test } from './fixtures.ts';

/** What the command line finds of the same map. */
function commandLineChecks(picture: string, label: string, checks: string[]): CheckEntry[] {
  const call = ['evidence', picture, '--class', label, '--checks', checks.join(','), '--json'];
  const { stdout, stderr } = spawnSync(binary, call, { cwd: root, encoding: 'utf8' });
  expect(stderr).toBe('');
  return (JSON.parse(stdout) as { checks: CheckEntry[] }).checks;
}

async function shown(page: Page, picture: string): Promise<void> {
  await open(page);
  await pick(page, picture);
  await state(page, 'done');
}

function finding(page: Page, id: string) {
  return part(page, 'check-results').locator(`[data-check="${id}"]`);
}

async function check(page: Page, id: string): Promise<void> {
  await part(page, 'check-buttons').locator(`[data-check="${id}"]`).click();
  await expect(finding(page, id)).toBeVisible();
  await expect(page.locator('#check-progress')).toBeHidden();
}

test('where the map lies is there without a click, and a class more asks again', async ({
  page,
}) => {
  await shown(page, sample());
  const { label } = (await report(page)).explained;
  const [outside, border] = commandLineChecks(sample(), label, ['outside-lungs', 'border']);
  const percent = (entry: CheckEntry | undefined): string =>
    `${(100 * (entry?.found?.numbers[0]?.value ?? NaN)).toFixed(1)} % of the map`;
  const facts = part(page, 'check-facts');
  await expect(facts).toContainText('It looks like an upright frontal chest X-ray');
  await expect(facts).toContainText(percent(outside));
  await expect(facts).toContainText(percent(border));
  const before = await facts.textContent();
  await part(page, 'class-select').selectOption({ index: label === 'covid' ? 1 : 0 });
  await state(page, 'done');
  await expect(facts).not.toHaveText(before ?? '');
});

test('deletion and insertion: number, sentence, plot, table and clipboard as on the command line', async ({
  page,
  context,
}) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await shown(page, sample());
  const { label } = (await report(page)).explained;
  for (const expected of commandLineChecks(sample(), label, ['deletion', 'insertion'])) {
    await check(page, expected.check);
    const found = finding(page, expected.check);
    const points = expected.found?.curves?.[0]?.points ?? [];
    expect(points.length).toBeGreaterThan(5);
    const quoted = Number(await found.locator('.finding-number strong').textContent());
    expect(quoted).toBeCloseTo(expected.found?.numbers[0]?.value ?? NaN, 3);
    await expect(found.locator('.finding-says')).toContainText('probability');
    await expect(found.locator('svg.plot circle')).toHaveCount(points.length);
    await expect(found.locator('svg.plot')).toHaveAttribute('aria-label', /probability/);
    const axes = await found.locator('svg.plot text').allTextContents();
    expect(axes).toContain(expected.found?.curves?.[0]?.against);
    expect(axes).toContain('probability');

    await found.locator('summary').click();
    await expect(found.locator('table').last().locator('tbody tr')).toHaveCount(points.length);
    await found.getByRole('button', { name: 'Copy the numbers' }).click();
    await expect(found.getByText('Copied')).toBeVisible();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    const rows = (copied.split('\n\n')[0] ?? '').split('\n').slice(1);
    expect(rows.length).toBe(points.length);
    const apart = rows.map((row, index) => {
      const [at, value] = row.split('\t').map(Number);
      expect(at).toBeCloseTo(points[index]?.[0] ?? NaN, 6);
      return Math.abs((value ?? NaN) - (points[index]?.[1] ?? NaN));
    });
    // Two pixels whose values differ in the last bit may change places, and one step then hides the one for the other.
    expect(apart.filter((by) => by > 1e-3).length).toBeLessThanOrEqual(2);
    expect(Math.max(...apart)).toBeLessThan(0.02);
  }
});

test('the randomised model: cancelled between two passes, the model stays, and then it is run', async ({
  page,
}) => {
  let models = 0;
  page.on('request', (request) => {
    if (request.url().endsWith('.onnx')) models += 1;
  });
  await shown(page, sample());
  const loaded = models;
  const button = part(page, 'check-buttons').locator('[data-check="randomisation"]');
  await button.click();
  await expect(page.locator('#check-amount')).toContainText(' of 25 passes');
  await expect(button).toBeDisabled();
  await part(page, 'check-cancel').click();
  await expect(page.locator('#check-status')).toHaveText('The check was stopped.', {
    timeout: 10_000,
  });
  await expect(finding(page, 'randomisation')).toHaveCount(0);
  await part(page, 'class-select').selectOption({ index: 1 });
  await state(page, 'done');
  expect(models).toBe(loaded);

  await check(page, 'randomisation');
  const { label } = (await report(page)).explained;
  const [expected] = commandLineChecks(sample(), label, ['randomisation']);
  const quoted = await finding(page, 'randomisation')
    .locator('.finding-number strong')
    .textContent();
  // The random models are the same ones; their products are summed in another order.
  expect(Number(quoted)).toBeCloseTo(expected?.found?.numbers[0]?.value ?? NaN, 1);
});

test('another wish ends a check that is running', async ({ page }) => {
  await shown(page, sample());
  await part(page, 'check-buttons').locator('[data-check="all"]').click();
  await expect(page.locator('#check-progress')).toBeVisible();
  const before = (await report(page)).explained.index;
  await part(page, 'class-select').selectOption({ index: before === 0 ? 1 : 0 });
  await state(page, 'done');
  expect((await report(page)).explained.index).not.toBe(before);
  await expect(page.locator('#check-progress')).toBeHidden();
  await expect(part(page, 'check-results').locator('article')).toHaveCount(0);
});

test('every offered check says something, and axe finds nothing wrong with it', async ({
  page,
}) => {
  test.setTimeout(240_000);
  await shown(page, sample(1));
  await part(page, 'check-buttons').locator('[data-check="all"]').click();
  const results = part(page, 'check-results').locator('article');
  await expect(results).toHaveCount(7, { timeout: 200_000 });
  for (const text of await results.locator('.finding-says').allTextContents()) {
    expect(text.length).toBeGreaterThan(40);
  }
  for (const fold of await results.locator('summary').all()) await fold.click();
  for (const scheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    const { violations } = await new AxeBuilder({ page }).include('#checks').analyze();
    expect(violations).toEqual([]);
    await page.locator('#checks').screenshot({ path: `test-results/checks-${scheme}.png` });
  }
});

test('a box dragged over the picture hides it: scores before and after, several boxes, undo', async ({
  page,
}) => {
  await shown(page, sample());
  const before = await report(page);
  await part(page, 'hide-draw').click();
  await expect(part(page, 'hide-draw')).toHaveAttribute('aria-pressed', 'true');
  const layer = part(page, 'hide-layer');
  await layer.scrollIntoViewIfNeeded();
  const frame = await layer.boundingBox();
  if (!frame) throw new Error('the layer is not on the page');
  const drag = async (from: [number, number], to: [number, number]): Promise<void> => {
    const at = ([x, y]: [number, number]): [number, number] => [
      frame.x + x * frame.width,
      frame.y + y * frame.height,
    ];
    await page.mouse.move(...at(from));
    await page.mouse.down();
    await page.mouse.move(...at(to), { steps: 4 });
    await page.mouse.up();
  };
  await drag([0.25, 0.25], [0.75, 0.75]);
  const rows = part(page, 'hide-result').locator('tbody tr');
  await expect(rows).toHaveCount(before.scores.length);
  const read = async (): Promise<number[]> =>
    (await rows.all()).reduce<Promise<number[]>>(
      async (values, row) => [
        ...(await values),
        Number(await row.getAttribute('data-probability')),
      ],
      Promise.resolve([]),
    );
  const first = await read();
  expect(first.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 4);
  expect(
    first.some((value, at) => Math.abs(value - (before.scores[at]?.probability ?? 0)) > 0.01),
  ).toBe(true);
  await expect(page.locator('#hide-says')).toContainText(
    /With 2[0-9]\.\d % of what the network sees/,
  );

  await drag([0.8, 0.1], [0.95, 0.3]);
  await expect(page.locator('#hide-boxes li')).toHaveCount(2);
  await expect.poll(read).not.toEqual(first);
  await part(page, 'hide-undo').click();
  await expect(page.locator('#hide-boxes li')).toHaveCount(1);
  await expect.poll(read).toEqual(first);
  await part(page, 'hide-fill').selectOption('surroundings');
  await expect.poll(read).not.toEqual(first);
  expect(await report(page)).toEqual(before);

  const { violations } = await new AxeBuilder({ page }).include('#hide').analyze();
  expect(violations).toEqual([]);
  await page.locator('#hide').screenshot({ path: 'test-results/hide.png' });
  await page.keyboard.press('Escape');
  await expect(part(page, 'hide-draw')).toHaveAttribute('aria-pressed', 'false');
  await page.locator('#hide-clear').click();
  await expect(part(page, 'hide-result')).toBeHidden();
});

test('a box by keyboard alone, and what cannot be hidden says why', async ({ page }) => {
  await shown(page, sample());
  const { picture } = await report(page);
  const fields = ['hide-x', 'hide-y', 'hide-width', 'hide-height'];
  const type = async (values: number[]): Promise<void> => {
    for (const [index, id] of fields.entries()) {
      await page.locator(`#${id}`).focus();
      await page.keyboard.press('ControlOrMeta+a');
      await page.keyboard.type(String(values[index]));
    }
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
  };
  await type([0, 0, picture.width, picture.height]);
  await expect(page.locator('#hide-says')).toContainText('With 100.0 %');
  await part(page, 'hide-fill').selectOption('surroundings');
  await expect(page.locator('#hide-problem')).toContainText('The boxes hide all');
  await part(page, 'hide-undo').focus();
  await page.keyboard.press('Enter');
  await expect(page.locator('#hide-boxes li')).toHaveCount(0);
  await expect(page.locator('#hide-problem')).toHaveText('');
  await type([picture.width + 5, 0, 10, 10]);
  await expect(page.locator('#hide-problem')).toContainText('whole numbers of pixels');
  await expect(page.locator('#hide-boxes li')).toHaveCount(0);
});
