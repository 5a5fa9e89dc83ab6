/** `npm test`: installs what is missing, runs every suite, and ends with one line, `N passed, N failed`. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { check } from './check.mjs';
import { buildEngines } from './engine.mjs';
import { nvrtc } from './nvrtc.mjs';
import {
  ask,
  buildPage,
  cargoBin,
  checkRust,
  heading,
  installModules,
  installWasmTarget,
  locked,
  modulePath,
  must,
  root,
  run,
} from './steps.mjs';

const outcomes = [];

/** How everything native is built: one set of features, so that nothing is compiled twice. */
const native = ['--release', '--features', 'cuda'];
/** The tests that any engine has to pass. */
const engineSuites = ['--test', 'engine', '--test', 'gradient_rules', '--test', 'zoo'];

/** Runs a step that has tests in it; what it counts is added up. */
async function suite(name, action) {
  heading(name);
  const started = Date.now();
  let passed = 0;
  let failed = 0;
  try {
    ({ passed, failed } = await action());
  } catch (error) {
    console.error(error.message);
    failed = Math.max(failed, 1);
  }
  const seconds = Math.round((Date.now() - started) / 1000);
  outcomes.push({ name, passed, failed, seconds });
}

/** A step that either holds or does not. */
const step = (command, args, options) => async () => {
  const { code } = await run(command, args, options);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 };
};

/** Adds up the `test result:` lines of Rust's test harness, natively and in a browser. */
const rustTests = (command, args, options) => async () => {
  const { code, output } = await run(command, args, options);
  const sum = { passed: 0, failed: 0 };
  const plain = output.replace(/\u001b\[[0-9;]*m/g, '');
  for (const [, passed, failed] of plain.matchAll(
    /^test result: .*?(\d+) passed; (\d+) failed/gm,
  )) {
    sum.passed += Number(passed);
    sum.failed += Number(failed);
  }
  // A suite that did not get as far as its tests has failed, too.
  if (code !== 0) sum.failed = Math.max(sum.failed, 1);
  else if (sum.passed === 0) throw new Error('no test was run');
  return sum;
};

/** Tests of the built page, through Playwright's runner. */
async function playwright(config, report) {
  const results = path.join(root, 'test-results', report);
  rmSync(results, { force: true });
  const cli = modulePath('@playwright/test', 'cli.js');
  const { code } = await run(process.execPath, [cli, 'test', '--config', config]);
  if (!existsSync(results)) throw new Error('the browser tests did not start');
  const { stats } = JSON.parse(readFileSync(results, 'utf8'));
  const failed = stats.unexpected + stats.flaky;
  if (stats.skipped > 0) console.log(`${stats.skipped} skipped: they need ../shared/xrays`);
  return { passed: stats.expected, failed: code === 0 ? failed : Math.max(failed, 1) };
}

/** Debian's names; elsewhere they have to be there already. */
const browsers = [
  { command: 'chromium', aptPackage: 'chromium' },
  { command: 'chromedriver', aptPackage: 'chromium-driver' },
  { command: 'firefox-esr', aptPackage: 'firefox-esr' },
];

async function installBrowsers() {
  const missing = browsers.filter(({ command }) => ask('which', [command]) === null);
  if (missing.length === 0) return;
  const names = missing.map(({ aptPackage }) => aptPackage);
  const canInstall = process.getuid?.() === 0 && ask('which', ['apt-get']) !== null;
  if (!canInstall) {
    throw new Error(`missing: ${names.join(', ')}. Install them, on Debian with:
  sudo apt-get install ${names.join(' ')}`);
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await must('apt-get', ['update', '-q'], { env });
  await must('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...names], { env });
}

/** Tools from crates.io that drive the browsers, each skipped where it is there in this version. */
async function installTools() {
  const bindgen = locked('wasm-bindgen');
  const tools = [
    { crate: 'wasm-pack', version: '0.15.1', command: 'wasm-pack', flags: ['--locked'] },
    // Its published lock file does not build; without it, it does.
    { crate: 'wasm-bindgen-cli', version: bindgen, command: 'wasm-bindgen', flags: [] },
    { crate: 'geckodriver', version: '0.37.1', command: 'geckodriver', flags: [] },
  ];
  for (const { crate, version, command, flags } of tools) {
    const there = ask(command, ['--version']) ?? ask(path.join(cargoBin, command), ['--version']);
    if (there?.includes(version)) continue;
    await must('cargo', ['install', crate, '--version', version, '--force', ...flags]);
  }
  for (const component of ['rustfmt', 'clippy']) {
    if (ask('cargo', [component === 'rustfmt' ? 'fmt' : 'clippy', '--version']) === null) {
      await must('rustup', ['component', 'add', component]);
    }
  }
}

/** Whether NVIDIA's compiler makes the committed PTX of the kernels. */
async function kernelsForGpus() {
  const libraries = await nvrtc();
  if (libraries === null) {
    console.log('skipped: it needs Linux, Python 3 with pip, and its package index');
    return { passed: 0, failed: 0 };
  }
  const example = ['run', ...native, '--example', 'ptx', '--', '--check'];
  return step('cargo', example, { env: { LD_LIBRARY_PATH: libraries } })();
}

function inBrowser(name, ...driver) {
  const shared = ['--headless', '--release', '--mode', 'no-install'];
  const suites = ['--test', 'kernels', ...engineSuites];
  const cargo = ['--', '--no-default-features', '--features', 'web', ...suites];
  return rustTests('wasm-pack', ['test', `--${name}`, ...driver, ...shared, ...cargo], {
    env: { WASM_BINDGEN_TEST_TIMEOUT: '300' },
  });
}

async function prepared() {
  checkRust();
  await installModules();
  await installBrowsers();
  await installWasmTarget();
  await installTools();
}

heading('What is missing');
try {
  await prepared();
} catch (error) {
  console.error(error.message);
  console.log('0 passed, 1 failed');
  process.exit(1);
}

await suite('Rust: formatting', step('cargo', ['fmt', '--check']));
await suite(
  'Rust: lints without a GPU path',
  step('cargo', ['clippy', '--release', '--', '-D', 'warnings']),
);
await suite(
  'Rust: lints',
  step('cargo', ['clippy', ...native, '--all-targets', '--', '-D', 'warnings']),
);
// This builds target/release/gradlens too, which the end-to-end tests compare with. A `cargo build` beside it would compile
// everything twice: the tests' own dependencies change the features of shared ones.
await suite('Rust: native tests', rustTests('cargo', ['test', ...native, '--no-fail-fast']));
// The kernels for GPUs, their text compiled for the processor, through the suites of the engine.
await suite(
  'CUDA kernels on the processor',
  rustTests('cargo', ['test', ...native, ...engineSuites], {
    env: { GRADLENS_TEST_ENGINE: 'cuda-kernels' },
  }),
);
await suite('CUDA kernels for GPUs', kernelsForGpus);
const chromedriver = ask('which', ['chromedriver']);
await suite('Engine in Chromium', inBrowser('chrome', '--chromedriver', chromedriver));
const geckodriver = ask('which', ['geckodriver']);
await suite('Engine in Firefox', inBrowser('firefox', '--geckodriver', geckodriver));
await suite('Page: build', async () => {
  await buildEngines();
  await buildPage();
  return { passed: 1, failed: 0 };
});
await suite('Page: types and formatting', async () => {
  const failed = await check();
  return { passed: failed === 0 ? 1 : 0, failed };
});
await suite('Page: end to end', () => playwright('playwright.config.ts', 'results.json'));
await suite('Page: in Firefox', () => playwright('playwright.firefox.config.ts', 'firefox.json'));

heading('Summary');
for (const { name, passed, failed, seconds } of outcomes) {
  console.log(
    `${failed > 0 ? 'FAILED' : 'ok    '} ${name}: ${passed} passed, ${failed} failed (${seconds} s)`,
  );
}
const sum = (what) => outcomes.reduce((total, outcome) => total + outcome[what], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exit(sum('failed') > 0 ? 1 : 0);
