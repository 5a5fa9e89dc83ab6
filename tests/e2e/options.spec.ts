/** Options of a method: what speaks against a class, smoother maps, layers fused; each is in the report, and gone with a method that has none. */
import {
  expect,
  expectAccessible,
  open,
  part,
  pick,
  report,
  sample,
  state,
  test,
} from './fixtures.ts';

test('against, smoother, fused: the report names each, and the map is another one', async ({
  page,
}) => {
  await open(page);
  await pick(page, sample(1));
  await state(page, 'done');
  const plain = await report(page);
  const seen = new Set([JSON.stringify(plain.map.values)]);
  await page.getByText('Options', { exact: true }).click();
  await part(page, 'against').check();
  await expect
    .poll(async () => (await report(page)).explained)
    .toMatchObject({
      counterfactual: true,
    });
  seen.add(JSON.stringify((await report(page)).map.values));
  await part(page, 'against').uncheck();

  await page.getByLabel(/First principal component/).check();
  await expect.poll(async () => (await report(page))['smooth']).toEqual(['eigen']);
  seen.add(JSON.stringify((await report(page)).map.values));
  await expect(page.locator('#options-count')).toHaveText('1 in use');
  await expectAccessible(page);
  await page.getByLabel(/First principal component/).uncheck();

  const other = 'blocks.5.3.conv_pwl';
  const layers = part(page, 'fused-layers');
  const names = await layers
    .locator('option')
    .evaluateAll((options) => options.map((option) => (option as HTMLOptionElement).value));
  const fused = names.includes(other)
    ? other
    : (names.find((name) => name.startsWith('blocks.5') && name !== plain.layer) ?? '');
  await layers.selectOption(fused);
  await expect.poll(async () => (await report(page))['layers']).toEqual([plain.layer, fused]);
  await state(page, 'done');
  seen.add(JSON.stringify((await report(page)).map.values));
  expect(seen.size).toBe(4);

  // The gradient at the pixels knows neither layers nor smoothing: what was chosen is left out, and comes back.
  await part(page, 'method-select').selectOption('gradient');
  await expect.poll(async () => (await report(page)).method).toBe('gradient');
  await expect(layers).toBeHidden();
  await part(page, 'method-select').selectOption(plain.method);
  await layers.selectOption([]);
  await expect.poll(async () => (await report(page)).map).toEqual(plain.map);
});
