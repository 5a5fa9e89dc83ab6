/** The engines in headless Chromium, each in a process of its own. */
import { copyFileSync, cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { chromium } from '@playwright/test';
import { serve } from '../serve.mjs';
import { root } from '../steps.mjs';
import { peakMemory, processorTime } from './processes.mjs';
import { packages } from './peers.mjs';
import { filesFor } from './tfjs.mjs';

const site = path.join(root, 'target', 'bench', 'site');

/** Files of the benchmark's page. */
function layOut(classifiers) {
  rmSync(site, { recursive: true, force: true });
  mkdirSync(path.join(site, 'models'), { recursive: true });
  for (const file of ['page.js', 'runner.js', 'tfjs.js', 'threads.js']) {
    copyFileSync(path.join(root, 'scripts', 'bench', file), path.join(site, file));
  }
  cpSync(path.join(root, 'www', 'src', 'wasm'), path.join(site, 'gradlens'), { recursive: true });
  symlinkSync(path.join(packages, 'onnxruntime-web', 'dist'), path.join(site, 'onnxruntime'));
  symlinkSync(path.join(packages, '@tensorflow'), path.join(site, 'tensorflow'));
  writeFileSync(
    path.join(site, 'index.html'),
    '<!doctype html><title>Benchmark</title><script type="module" src="page.js"></script>',
  );
  for (const { name, model, tfjs, picture } of classifiers) {
    symlinkSync(model, path.join(site, 'models', `${name}.onnx`));
    if (tfjs) symlinkSync(tfjs, path.join(site, 'models', `${name}.tfjs`));
    writeFileSync(path.join(site, 'models', `${name}.png`), picture);
  }
}

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';

const args = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Pages in the background are measured, too.
  '--disable-renderer-backgrounding',
  '--disable-background-timer-throttling',
];

/** Serves the page; `open` makes an engine in a browser of its own, `close` ends it all. */
export async function browser(classifiers) {
  layOut(classifiers);
  // TensorFlow.js makes functions and workers out of texts, which gradlens's own page forbids.
  const { server, address } = await serve(site, 0, { 'Content-Security-Policy': '' });
  let version = 'Chromium';
  return {
    get version() {
      return version;
    },
    async open(name, threads) {
      // A browser each: then a process is this engine's, whichever of its own the browser gives to the page.
      const instance = await chromium.launch({ executablePath, args });
      version = `Chromium ${instance.version()}`;
      const control = await instance.newBrowserCDPSession();
      const page = await instance.newPage();
      await page.goto(address);
      await page.waitForFunction(() => 'bench' in globalThis);
      await page.evaluate(([n, t]) => globalThis.bench.make(n, t), [name, threads]);
      const renderers = async () => {
        const { processInfo } = await control.send('SystemInfo.getProcessInfo');
        return processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
      };
      const used = async () => {
        const times = (await renderers()).map(processorTime);
        return times.includes(null) ? null : times.reduce((sum, time) => sum + time, 0);
      };
      const measured = async (action) => {
        const start = await used();
        const wall = await action();
        const end = await used();
        return { wall, cpu: start === null || end === null ? null : end - start };
      };
      return {
        fetch: ({ name: of, size, manifest }) => {
          const at = { model: `models/${of}.onnx`, tfjs: `models/${of}.tfjs` };
          const given = { name: of, size, manifest, ...filesFor(name, at) };
          return page.evaluate((c) => globalThis.bench.fetch(c), given);
        },
        load: () => measured(() => page.evaluate(() => globalThis.bench.load())),
        digest: () => measured(() => page.evaluate(() => globalThis.bench.digest())),
        run: (what, count) =>
          measured(() => page.evaluate(([w, c]) => globalThis.bench.run(w, c), [what, count])),
        scores: () => page.evaluate(() => globalThis.bench.scores()),
        bytes: async () => Math.max(...(await renderers()).map(peakMemory)),
        close: () => instance.close(),
      };
    },
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
