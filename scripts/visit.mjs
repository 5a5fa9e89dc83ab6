/**
 * `npm run visit`: what a visit costs, measured on the built page in Chromium: time to ready, from a picture to its map, to another
 * class; bytes by file; memory after many pictures. `--rounds N` (5), `--pictures N` (300), `--json FILE`.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants } from 'node:zlib';
import { dist, samples, state, visiting } from './browser.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    pictures: { type: 'string', default: '300' },
    json: { type: 'string' },
  },
});

const pictures = readdirSync(samples)
  .filter((name) => name.endsWith('.jpg'))
  .map((name) => ({
    name,
    mimeType: 'image/jpeg',
    buffer: readFileSync(path.join(samples, name)),
  }));

/** Runs in the page: does something and gives the milliseconds until a report answers `wanted`, a function's text. */
async function until(page, action, wanted) {
  await page.evaluate((wanted) => {
    const holds = new Function('report', `return ${wanted}`);
    const status = document.querySelector('[data-testid="status"]');
    window.measured = new Promise((resolve) => {
      // The clock starts at the event by which the page hears of it.
      const start = { at: null };
      for (const kind of ['change', 'input']) {
        document.addEventListener(kind, () => (start.at ??= performance.now()), {
          capture: true,
          once: true,
        });
      }
      const look = () => {
        const report = window.gradlens.report();
        const done = status.dataset.state === 'done' && report && holds(report);
        if (start.at !== null && done) {
          observer.disconnect();
          // With the frame that shows it.
          requestAnimationFrame(() => resolve(performance.now() - start.at));
        }
      };
      const observer = new MutationObserver(look);
      observer.observe(document.body, { subtree: true, childList: true, attributes: true });
    });
  }, wanted);
  await action();
  return page.evaluate(() => window.measured);
}

async function ready(page, address) {
  await page.goto(address, { waitUntil: 'commit' });
  await state(page, 'ready');
  return page.evaluate(() => performance.now());
}

async function round(browser, address) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const first = await ready(page, address);
  const input = page.getByTestId('picture-input');
  const explained = [];
  for (const picture of pictures) {
    const wanted = `report.picture.name === ${JSON.stringify(picture.name)}`;
    explained.push(await until(page, () => input.setInputFiles(picture), wanted));
  }
  const choose = page.getByTestId('class-select');
  const classes = [];
  for (const index of [0, 1, 2]) {
    const at = await page.evaluate(() => window.gradlens.report().explained.index);
    if (at === index) continue;
    const wanted = `report.explained.index === ${index}`;
    classes.push(await until(page, () => choose.selectOption({ index }), wanted));
  }
  await page.getByTestId('offline').getByText(/\S/).waitFor();
  const again = await ready(page, address);
  const threads = await page.evaluate(() =>
    crossOriginIsolated ? navigator.hardwareConcurrency : 1,
  );
  await context.close();
  return { first, again, picture: explained, class: classes, threads };
}

/** MiB of the page and its workers as Chromium counts them after a collection (the engine's memory not among them where threads share it), and what its process holds. */
async function memory(browser, page) {
  const { bytes } = await page.evaluate(() => performance.measureUserAgentSpecificMemory());
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const held = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => resident(id));
  return { scripts: bytes / 2 ** 20, process: Math.max(...held) };
}

/** MiB of a process that are its own; NaN where the system does not tell. */
function resident(id) {
  try {
    const status = readFileSync(`/proc/${id}/status`, 'utf8');
    const kib = (name) => Number(status.match(new RegExp(`^${name}:\\s+(\\d+)`, 'm'))?.[1]);
    return (kib('RssAnon') + kib('RssShmem')) / 1024;
  } catch {
    return NaN;
  }
}

async function manyPictures(browser, address, most) {
  const page = await (await browser.newContext({ serviceWorkers: 'block' })).newPage();
  await ready(page, address);
  const input = page.getByTestId('picture-input');
  const found = [];
  for (let count = 1; count <= most; count += 1) {
    const picture = { ...pictures[count % pictures.length], name: `${count}.jpg` };
    await until(page, () => input.setInputFiles(picture), `report.picture.name === '${count}.jpg'`);
    if ([1, 10, 100, most].includes(count))
      found.push({ pictures: count, ...(await memory(browser, page)) });
  }
  return found;
}

function payload() {
  const files = readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_LGWIN]: 24 };
  return files
    .map((file) => ({ file: path.relative(dist, file), content: readFileSync(file) }))
    .map(({ file, content }) => ({
      file,
      bytes: content.length,
      // Weights do not shrink, and hosts send them as they are.
      brotli: file.endsWith('.onnx')
        ? content.length
        : brotliCompressSync(content, { params: quality }).length,
    }))
    .sort((a, b) => b.brotli - a.brotli);
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

try {
  const files = payload();
  console.table(files.filter(({ brotli }) => brotli > 2000));
  const result = await visiting(async (browser, address) => {
    const rounds = [];
    for (let at = 0; at < Number(options.rounds); at += 1)
      rounds.push(await round(browser, address));
    const many = await manyPictures(browser, address, Number(options.pictures));
    return { rounds, many, chromium: browser.version() };
  });
  const { rounds, many } = result;
  const of = (what) => median(rounds.flatMap((round) => round[what]));
  console.table({
    'page load to ready, first visit': { ms: Math.round(of('first')) },
    'page load to ready, later visit': { ms: Math.round(of('again')) },
    'picture to heat map': { ms: Math.round(of('picture')) },
    'to another class': { ms: Math.round(of('class')) },
  });
  const mib = ({ pictures, scripts, process }) => [
    pictures,
    Math.round(scripts),
    Math.round(process),
  ];
  console.table(
    many.map(mib).map(([pictures, scripts, process]) => ({ pictures, scripts, process })),
  );
  const cpu = os.cpus()[0]?.model;
  const where = { chromium: result.chromium, cpu, cores: os.cpus().length, load: os.loadavg()[0] };
  console.log(JSON.stringify(where));
  if (options.json)
    writeFileSync(options.json, JSON.stringify({ where, files, ...result }, null, 1));
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
