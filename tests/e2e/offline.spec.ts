/** Without network: everything after the first visit, a newer version, downloads that break off, and hosts that send no headers. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { BrowserContext, Page } from '@playwright/test';
import { build } from 'vite';
import {
  dist,
  expect,
  part,
  pick,
  report,
  root,
  sample,
  samples,
  state,
  test,
} from './fixtures.ts';
import { Host } from './host.ts';

test.use({ serviceWorkers: 'allow' });

const MODEL = 'models/covid-xray/model.onnx';
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};
const modelBytes = readFileSync(path.join(root, MODEL)).length;

async function hosted(use: (host: Host) => Promise<void>, prefix?: string): Promise<void> {
  const host = await new Host(dist, prefix).start();
  try {
    await use(host);
  } finally {
    await host.stop().catch(() => {});
  }
}

async function visit(page: Page, { address }: Host, query = ''): Promise<void> {
  await page.goto(address + query);
  await state(page, 'ready');
}

async function kept(page: Page): Promise<void> {
  await expect(part(page, 'offline')).toContainText('without network');
}

interface Recorded {
  url: string;
  method: string;
  body: boolean;
  /** Whether the service worker asked. */
  service: boolean;
}

/** Everything that goes over the network, service worker included. */
function recorded(context: BrowserContext): Recorded[] {
  const requests: Recorded[] = [];
  context.on('request', (request) =>
    requests.push({
      url: request.url(),
      method: request.method(),
      body: request.postDataBuffer() !== null,
      service: request.serviceWorker() !== null,
    }),
  );
  return requests;
}

async function mainJob(page: Page, picture: string): Promise<void> {
  await pick(page, picture);
  await state(page, 'done');
  const first = await report(page);
  expect(first.picture.name).toBe(path.basename(picture));
  await part(page, 'class-select').selectOption({ index: first.explained.index === 0 ? 1 : 0 });
  await state(page, 'done');
  const second = await report(page);
  expect(second.explained.index).not.toBe(first.explained.index);
  expect(second.map.values).not.toEqual(first.map.values);
}

async function cacheNames(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const names = await caches.keys();
    const urls = await Promise.all(
      names.map(async (name) => (await (await caches.open(name)).keys()).map(({ url }) => url)),
    );
    return urls.flat();
  });
}

test('a whole visit asks its own origin only, with no body; then it goes on without network and without server, reloads included', async ({
  page,
  context,
}) => {
  await hosted(async (host) => {
    const requests = recorded(context);
    await visit(page, host);
    await kept(page);
    await pick(page, ...samples());
    await state(page, 'done');
    await part(page, 'sample-picture').first().click();
    await state(page, 'done');
    for (const id of ['method-select', 'layer-select', 'target-select', 'colormap-select']) {
      await part(page, id).selectOption({ index: 1 });
      await state(page, 'done');
    }
    for (const id of ['export-png', 'export-figure', 'export-report', 'export-map']) {
      await Promise.all([page.waitForEvent('download'), part(page, id).click()]);
    }
    await part(page, 'shipped-select').selectOption('shortcut-xray');
    await state(page, 'loading', 'running');
    await state(page, 'done');
    expect(requests.length).toBeGreaterThan(10);
    expect(requests.some(({ service }) => service)).toBe(true);
    for (const { url, method, body } of requests) {
      expect(url.startsWith(host.address) || /^(blob|data):/.test(url), url).toBe(true);
      expect([url, method, body]).toEqual([url, 'GET', false]);
    }

    await context.setOffline(true);
    await host.stop();
    await page.reload();
    await state(page, 'ready');
    await kept(page);
    await mainJob(page, sample(2));
    // The page's own samples, and a model that an earlier visit had opened.
    await part(page, 'sample-picture').nth(1).click();
    await state(page, 'done');
    await part(page, 'shipped-select').selectOption('shortcut-xray');
    await state(page, 'loading', 'running');
    await state(page, 'done');
    expect((await report(page)).model.id).toBe('shortcut-xray');
    // One that was never here: said, and the one before stays.
    await part(page, 'shipped-select').selectOption('covid-xray-inception');
    await state(page, 'error');
    await expect(part(page, 'error')).toContainText('Is the server still there?');
    await page.goto(`${host.address}index.html`);
    await state(page, 'ready');
    await mainJob(page, sample(0));
  });
});

test('the first visit downloads each large file once, and one engine; the second nothing', async ({
  page,
}) => {
  await hosted(async (host) => {
    host.headers = ISOLATION;
    await visit(page, host);
    await kept(page);
    expect(host.sent(MODEL)).toBe(modelBytes);
    expect(host.sent('models/lungs/model.onnx')).toBe(
      readFileSync(path.join(root, 'models/lungs/model.onnx')).length,
    );
    expect(host.log.filter(({ path }) => path.endsWith('.wasm'))).toHaveLength(1);
    const before = host.log.length;
    await page.reload();
    await state(page, 'ready');
    await kept(page);
    const after = host.log.slice(before).map(({ path }) => path);
    expect(after.filter((path) => !path.endsWith('/sw.js'))).toEqual([]);
  });
});

test('a newer version waits until it is asked for, then takes over and the old files go', async ({
  page,
  context,
}) => {
  const newer = mkdtempSync(path.join(tmpdir(), 'gradlens-'));
  await build({
    root: path.join(root, 'www'),
    logLevel: 'silent',
    build: { outDir: newer },
    plugins: [
      {
        name: 'next',
        transform: (code, id) =>
          id.endsWith('/src/main.ts') ? `${code}\nwindow.name = 'next';` : null,
        transformIndexHtml: (html) => html.replace('<html ', '<html data-version="next" '),
      },
    ],
  });
  await hosted(async (host) => {
    await visit(page, host);
    await kept(page);
    await pick(page, sample());
    await state(page, 'done');
    const before = await cacheNames(page);
    const scripts = before.filter((url) => /\/assets\/index-.*\.js$/.test(url));
    expect(scripts).toHaveLength(1);

    host.folder = newer;
    const other = await context.newPage();
    await visit(other, host);
    // What is open goes on as it is, in the old version, until someone says so.
    await expect(part(page, 'update-now')).toBeVisible();
    await expect(part(other, 'update-now')).toBeVisible();
    expect(await other.locator('html').getAttribute('data-version')).toBeNull();
    await expect(page.locator('#update')).toContainText('Save what you need first');
    await part(page, 'class-select').selectOption({ index: 2 });
    await state(page, 'done');

    await part(other, 'update-now').click();
    await expect(other.locator('html')).toHaveAttribute('data-version', 'next');
    await state(other, 'ready');
    // The first tab still has its picture.
    expect((await report(page)).picture.name).toBe(path.basename(sample()));
    expect(await page.locator('html').getAttribute('data-version')).toBeNull();
    await kept(other);
    const after = await cacheNames(other);
    expect(after.filter((url) => scripts.includes(url))).toEqual([]);
    expect(after.filter((url) => url.includes('/kept/')).length).toBeGreaterThan(0);

    await part(page, 'update-now').click();
    await expect(page.locator('html')).toHaveAttribute('data-version', 'next');
    await context.setOffline(true);
    await host.stop();
    await page.reload();
    await state(page, 'ready');
    await mainJob(page, sample(1));
  });
});

test('a host without headers, in a subfolder: isolated from the second visit on, without a reload of its own', async ({
  page,
}) => {
  await hosted(async (host) => {
    let loads = 0;
    page.on('load', () => (loads += 1));
    await visit(page, host);
    await kept(page);
    expect(await page.evaluate(() => window.crossOriginIsolated)).toBe(false);
    await mainJob(page, sample());
    expect(loads).toBe(1);
    await visit(page, host);
    expect(await page.evaluate(() => window.crossOriginIsolated)).toBe(true);
    await mainJob(page, sample());
    expect((await report(page)).engine.threads).toBe(
      await page.evaluate(() => Math.min(8, navigator.hardwareConcurrency)),
    );
    expect(loads).toBe(2);
    // Who wants it otherwise says so.
    await visit(page, host, '?isolate=no');
    expect(await page.evaluate(() => window.crossOriginIsolated)).toBe(false);
    await mainJob(page, sample());
    expect(loads).toBe(3);
    await host.stop();
    await visit(page, host);
    expect(await page.evaluate(() => window.crossOriginIsolated)).toBe(true);
    await mainJob(page, sample(1));
  }, '/tools/of/ours/');
});

test('a download that breaks off goes on where it was, in the same visit and in the next', async ({
  page,
}) => {
  await hosted(async (host) => {
    const piece = 2_500_000;
    host.breaks = { path: MODEL, after: [piece, piece] };
    await visit(page, host);
    expect(host.sent(MODEL)).toBe(modelBytes);
    const asked = host.log.filter(({ path }) => path.endsWith(MODEL));
    expect(asked.map(({ range }) => range)).toEqual([
      null,
      `bytes=${piece}-`,
      `bytes=${2 * piece}-`,
    ]);
    await mainJob(page, sample());
  });
  await hosted(async (host) => {
    // It never gets further than this, however often it is tried.
    host.breaks = { path: MODEL, after: [2_500_000, 0, 0, 0] };
    await page.goto(host.address);
    await state(page, 'error');
    await expect(part(page, 'error')).toContainText('model.onnx: the download broke off');
    const before = host.sent(MODEL);
    expect(before).toBe(2_500_000);
    await page.reload();
    await state(page, 'ready');
    // All but the pieces of a mebibyte that had become whole.
    expect(host.sent(MODEL) - before).toBe(modelBytes - 2 * (1 << 20));
    await mainJob(page, sample());
  });
});

test('a host that sends no parts of files: the download starts again', async ({ page }) => {
  await hosted(async (host) => {
    host.ranges = false;
    host.breaks = { path: MODEL, after: [3_000_000] };
    await page.goto(host.address);
    await state(page, 'ready');
    expect(host.sent(MODEL)).toBe(3_000_000 + modelBytes);
    await mainJob(page, sample());
  });
});

test('a kept model that was damaged is downloaded again', async ({ page }) => {
  await hosted(async (host) => {
    await visit(page, host);
    await kept(page);
    await page.evaluate(async () => {
      for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        const piece = (await cache.keys()).find(({ url }) => /\/kept\/.*\/1048576$/.test(url));
        if (piece) await cache.put(piece, new Response(new Uint8Array(1 << 20)));
      }
    });
    await page.reload();
    await state(page, 'ready');
    await mainJob(page, sample());
    expect(host.sent(MODEL)).toBeGreaterThanOrEqual(2 * modelBytes);
  });
});

test('it can be installed', async ({ page, context }) => {
  await hosted(async (host) => {
    await visit(page, host);
    await kept(page);
    const session = await context.newCDPSession(page);
    const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
    // Every context of these tests is a private window, where nothing can be installed.
    expect(installabilityErrors.map(({ errorId }) => errorId)).toEqual(['in-incognito']);
    const { data, errors } = await session.send('Page.getAppManifest');
    expect(errors).toEqual([]);
    const { icons, start_url } = JSON.parse(data ?? '{}') as {
      icons: { src: string; purpose?: string }[];
      start_url: string;
    };
    expect(start_url).toBe('./');
    expect(icons.some(({ purpose }) => purpose === 'maskable')).toBe(true);
    for (const { src } of icons) {
      const response = await page.request.get(new URL(src, host.address).href);
      expect([src, response.status()]).toEqual([src, 200]);
    }
  });
});

test('opened as a file: one line says what to do', async ({ page }) => {
  await page.goto(`file://${path.join(dist, 'index.html')}`);
  await expect(page.locator('body')).toContainText('npm start');
});
