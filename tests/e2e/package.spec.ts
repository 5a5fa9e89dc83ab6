/** The npm package: what is in it, and the same scores and maps as the command line in Node, on a page and in a worker. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Report } from '../../www/src/types.ts';
import { commandLineReport, expect, root, sample, serve, test } from './fixtures.ts';

test.describe.configure({ mode: 'serial' });

const project = mkdtempSync(path.join(tmpdir(), 'gradlens-'));
const models = path.join(root, 'models');

interface Found {
  report: Report;
  values: number[];
}

function node(file: string, text: string): unknown {
  writeFileSync(path.join(project, file), text);
  const output = execFileSync(process.execPath, [file], { cwd: project, encoding: 'utf8' });
  return JSON.parse(output);
}

function expectSame({ report, values }: Found, terminal: Report): void {
  expect([report.picture, report.model]).toEqual([terminal.picture, terminal.model]);
  expect([report.explained, report.method]).toEqual([terminal.explained, terminal.method]);
  // A map may be empty: nothing speaks for the class.
  const most = Math.max(...terminal.map.values.map(Math.abs)) || 1;
  expect(values).toHaveLength(terminal.map.values.length);
  for (const [at, value] of terminal.map.values.entries()) {
    expect(Math.abs((values[at] ?? NaN) - value) / most).toBeLessThan(1e-4);
  }
}

test('it is packed with types and engine, and nothing else', async () => {
  test.setTimeout(240_000);
  const script: string = '../../scripts/package.mjs';
  const { pack } = (await import(script)) as { pack(): Promise<string> };
  const tarball = await pack();
  const listed = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
  const files = listed.map((name) => name.replace(/^package\//, ''));
  for (const name of ['index.js', 'index.d.ts', 'node.js', 'node.d.ts', 'wasm/gradlens_bg.wasm']) {
    expect(files).toContain(`dist/${name}`);
  }
  expect(files.filter((name) => !name.startsWith('dist/')).sort()).toEqual([
    'LICENSE-APACHE',
    'LICENSE-MIT',
    'README.md',
    'package.json',
  ]);
  writeFileSync(path.join(project, 'package.json'), '{ "type": "module", "private": true }');
  execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], {
    cwd: project,
  });
  for (const name of ['covid-xray', 'lungs']) {
    symlinkSync(path.join(models, name), path.join(project, name === 'lungs' ? name : 'model'));
  }
});

test('Node: the same as on the command line; errors in one line; what was disposed of says so', () => {
  const found = node(
    'explain.js',
    `import { readFile } from 'node:fs/promises';
     import { open } from 'gradlens';
     const companion = { model: 'lungs/model.onnx', manifest: 'lungs/manifest.json' };
     const manifest = JSON.parse(await readFile('model/manifest.json', 'utf8'));
     const classifier = await open('model/model.onnx', { manifest, companion });
     const [one, two] = ${JSON.stringify([sample(0), sample(1)])};
     const first = await classifier.explain(one);
     const png = Buffer.from(first.overlayPng()).toString('base64');
     const second = await classifier.explain(await readFile(two), { class: 'pneumonia', name: 'two.jpg' });
     const said = async (action) => { try { await action(); return null; } catch ({ message }) { return message; } };
     const errors = [
       await said(() => open('model/model.onnx', { manifest })),
       await said(() => open('explain.js')),
       await said(() => classifier.explain('explain.js')),
       await said(() => classifier.explain(one, { class: 'cat' })),
     ];
     const again = Buffer.from(first.overlayPng()).toString('base64') === png;
     classifier.dispose();
     errors.push(await said(() => first.overlay()));
     const out = ({ report, map }) => ({ report, values: [...map.values] });
     console.log(JSON.stringify({ first: out(first), second: out(second), again, errors }));`,
  ) as { first: Found; second: Found; again: boolean; errors: (string | null)[] };
  expectSame(found.first, commandLineReport(sample(0)));
  const second = commandLineReport(sample(1), '--class', 'pneumonia');
  expectSame(found.second, { ...second, picture: { ...second.picture, name: 'two.jpg' } });
  expect(found.again).toBe(true);
  const wanted = [/companion 'lungs'/, /explain/, /explain\.js/, /no class 'cat'/, /disposed/];
  for (const [at, error] of found.errors.entries()) {
    expect(error).toMatch(wanted[at] ?? /never/);
    expect(error).not.toMatch(/\n|unreachable/);
  }
});

test('every classifier of the zoo, whatever its operators: the same as on the command line', () => {
  test.setTimeout(240_000);
  const zoo = path.join(root, 'tests', 'fixtures', 'zoo');
  const files = readdirSync(zoo).map((name) => path.join(zoo, name));
  const found = node(
    'zoo.js',
    `import { open } from 'gradlens';
     const all = [];
     for (const file of ${JSON.stringify(files)}) {
       const classifier = await open(file, { companion: false });
       const { report, map } = await classifier.explain(${JSON.stringify(sample())});
       all.push({ report, values: [...map.values] });
       classifier.dispose();
     }
     console.log(JSON.stringify(all));`,
  ) as Found[];
  expect(found.length).toBeGreaterThan(20);
  for (const [at, one] of found.entries()) {
    expectSame(one, commandLineReport(sample(), '--model', files[at] ?? ''));
  }
});

test('a strict TypeScript project uses it', () => {
  writeFileSync(
    path.join(project, 'use.ts'),
    `import { open, type Classifier, type Report } from 'gradlens';
     const classifier: Classifier = await open(new Uint8Array(), { companion: false });
     const { scores, map, report } = await classifier.explain(new Blob([]), { class: 1, method: 'grad-cam' });
     const values: Float32Array = map.values;
     const kept: Report = report;
     const label: string | undefined = scores[0]?.label;
     // @ts-expect-error: a target is one of two words.
     await classifier.explain('a.png', { target: 'score' });
     export { values, kept, label };`,
  );
  const tsc = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  for (const [module, resolution] of [
    ['NodeNext', 'NodeNext'],
    ['ESNext', 'Bundler'],
  ] as const) {
    const flags = ['--strict', '--exactOptionalPropertyTypes', '--noEmit', '--target', 'ES2022'];
    const lib = ['--lib', 'ES2022,DOM,ESNext.Disposable', '--types', ''];
    const how = ['--module', module, '--moduleResolution', resolution];
    execFileSync(process.execPath, [tsc, ...flags, ...lib, ...how, 'use.ts'], { cwd: project });
  }
});

test('the example page, and a worker: the same as on the command line', async ({ page }) => {
  cpSync(path.join(root, 'npm', 'example', 'index.html'), path.join(project, 'index.html'));
  writeFileSync(
    path.join(project, 'worker.js'),
    `import { open } from './node_modules/gradlens/dist/index.js';
     onmessage = async ({ data }) => {
       const classifier = await open('model/model.onnx', { manifest: 'model/manifest.json',
         companion: { model: 'lungs/model.onnx', manifest: 'lungs/manifest.json' } });
       const { report, map } = await classifier.explain(data);
       postMessage({ report, values: [...map.values] });
     };`,
  );
  const { server, address } = await serve(project);
  try {
    // The project's own server sends the page's rules, which allow no script within a page: a plain one does not.
    await page.route(address, async (route) => {
      const response = await route.fetch();
      const { 'content-security-policy': _, ...headers } = response.headers();
      await route.fulfill({ response, headers });
    });
    await page.goto(address);
    const terminal = commandLineReport(sample());
    await expect(page.locator('#file')).toBeEnabled();
    await page.locator('#file').setInputFiles(sample());
    const { index, label } = terminal.explained;
    await expect(page.locator('#said')).toContainText(`${label}: `);
    const shown = Number((await page.locator('#said').innerText()).split(': ')[1]);
    expect(shown).toBeCloseTo(terminal.scores[index]?.probability ?? NaN, 5);
    const drawn = await page.locator('canvas').evaluate((canvas: HTMLCanvasElement) => {
      const data = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data;
      return { width: canvas.width, colours: new Set(data).size };
    });
    expect(drawn.width).toBe(terminal.picture.width);
    expect(drawn.colours).toBeGreaterThan(100);
    const found = await page.evaluate(async () => {
      const input = document.querySelector<HTMLInputElement>('#file');
      const worker = new Worker('worker.js', { type: 'module' });
      worker.postMessage(input?.files?.[0]);
      return new Promise<Found>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data as Found);
        worker.onerror = ({ message }) => reject(new Error(message));
      });
    });
    expectSame(found, terminal);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
