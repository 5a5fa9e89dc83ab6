/** The page in another language: chosen by the browser, switched by the visitor, and nothing of the page's own left in English. */
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { german } from '../../www/src/words/german.ts';
import { Words } from '../../www/src/words/catalogue.ts';
import { expect, open, part, pick, report, sample, state, test } from './fixtures.ts';

/** What is the same in both languages: names, units, file kinds, and what only a name or number stands in. */
const SAME = [
  /^[^a-z]*$/i,
  /^(gradlens|Overlay|PNG|JSON|NPY|ONNX|HTML|COCO|ZIP|CSV|Logit|Tab|Esc|Home|c|x|px|A|B|covid|ms|s|Zoom|ROAD)$/,
  /\.(jpg|png|onnx)\b/,
  /^(Covid|No finding|Pneumonia)/,
  /^gradlens \d/,
  /^(features|blocks|conv|stem|head|[\w./-]*\d[\w./-]*)$/,
  /^tract /,
  // The engine's own sentences on its checks.
  /is better\.$/,
  /^(conv_stem|conv_head|global_pool)(\.linear)?$/,
  /^[\d., ×%−+-]+( px|, rgb| Covid-19)?$/,
  /^[\w./-]+: \d+ × \d+ × \d+$/,
  /^sha256 [0-9a-f]{64}$/,
  // Classes go by the model's names.
  /^Other pneumonia$/,
  /^(inferno|viridis|magma|plasma|turbo|jet|hot|cividis|bone|gray|grey|rgb|bgr)\b/i,
  // Methods and models go by their names.
  /(CAM|CAM\+\+|RISE|Grad|SmoothGrad|FullGrad)/i,
];

/** Everything that the page says, shown or not yet: texts and what is read out. */
function said(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const kept = 'script, style, textarea, [translate="no"], [lang="en"]:not(html)';
    const found = new Set<string>();
    const add = (text: string | null): void => {
      const plain = text?.replace(/\s+/g, ' ').trim();
      if (plain) found.add(plain);
    };
    for (const element of document.body.querySelectorAll('*')) {
      if (element.closest(kept)) continue;
      for (const name of ['aria-label', 'placeholder', 'title', 'alt'])
        add(element.getAttribute(name));
      for (const node of element.childNodes) {
        if (node.nodeType === Node.TEXT_NODE) add(node.textContent);
      }
    }
    return [...found];
  });
}

async function tour(page: Page): Promise<string[]> {
  await open(page);
  const found = await said(page);
  await pick(page, sample());
  await state(page, 'done');
  found.push(...(await said(page)));
  await part(page, 'contrast-select').selectOption({ index: 2 });
  await state(page, 'done');
  await part(page, 'opacity').fill('0.25');
  await state(page, 'done');
  found.push(...(await said(page)));
  return [...new Set(found)];
}

test('a translation keeps what stands between the words', () => {
  const names = (text: string): string[] =>
    [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
  for (const [english, translation] of Object.entries(german)) {
    expect(names(translation), english).toEqual(names(english));
    expect(translation.trim(), english).toBe(translation);
    expect(translation.length, english).toBeGreaterThan(0);
  }
});

test('patterns: the closest one, its values translated, numbers as the language writes them', () => {
  const words = new Words(german, 'de');
  expect(words.translate(' Checking: Deletion (2 of 3)\n')).toBe(
    ' Geprüft wird: Entfernen der Stellen (2 von 3)\n',
  );
  expect(words.translate('Scored in 1.5 s, explained in 12 ms')).toBe(
    'Bewertet in 1,5 s, erklärt in 12 ms',
  );
  expect(words.translate('81.2 %')).toBe('81,2 %');
  expect(words.translate('0.1.0')).toBe('0.1.0');
  expect(words.translate('something of the engine')).toBe('something of the engine');
});

test.describe('a German browser', () => {
  test.use({ locale: 'de-DE' });

  test('the page speaks German, whole, and switches without losing work', async ({
    page,
    browser,
    address,
  }) => {
    const translated = await tour(page);
    await expect(page.locator('html')).toHaveAttribute('lang', 'de');
    await expect(page.locator('label[for="picture-input"]')).toHaveText('Bilder wählen');
    const context = await browser.newContext({ locale: 'en-GB', baseURL: address });
    const english = new Set(await tour(await context.newPage()));
    await context.close();
    expect(english.size).toBeGreaterThan(150);
    const same = translated.filter(
      (text) => english.has(text) && !SAME.some((rule) => rule.test(text)),
    );
    expect(same).toEqual([]);

    const before = await report(page);
    await part(page, 'language-select').selectOption('en');
    await expect(page.locator('html')).toHaveAttribute('lang', 'en');
    await expect(page.locator('label[for="picture-input"]')).toHaveText('Choose pictures');
    await expect(part(page, 'status')).toContainText('Scored in');
    expect(await report(page)).toEqual(before);
    const back = await said(page);
    expect(back.filter((text) => /[äöüß]/.test(text))).toEqual([]);
    // The choice stays, against what the browser says.
    await open(page);
    await expect(page.locator('html')).toHaveAttribute('lang', 'en');
    await part(page, 'language-select').selectOption('de');
    await expect(part(page, 'status')).toHaveText('Bereit für ein Bild');
    expect(await page.evaluate(() => document.cookie)).toBe('');
  });

  for (const width of [360, 1440]) {
    test(`accessible, nothing sticks out at ${width} px`, async ({ page }) => {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ reducedMotion: 'reduce' });
      await open(page);
      await pick(page, sample());
      await state(page, 'done');
      const { violations } = await new AxeBuilder({ page })
        .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
        .analyze();
      expect(
        violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`),
      ).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
      await page.screenshot({ path: `test-results/german-${width}.png`, fullPage: true });
    });
  }
});
