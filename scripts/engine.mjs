/** The engine as WebAssembly, in two files: one with a thread, and one with several for pages that are cross-origin isolated. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ask, digest, installWasmTarget, locked, must, root, run, wasmTarget } from './steps.mjs';
import { trim } from './trim.mjs';

/** How files are trimmed: what was made otherwise is made again. */
const trimming = readFileSync(new URL('trim.mjs', import.meta.url), 'utf8');

/** Functions keep their names where GRADLENS_NAMES is set: profilers want them, visitors would download a tenth more. */
const named = Boolean(process.env.GRADLENS_NAMES);

/** Memory that threads share is made outside of them, and its size has an end: 4 GiB, all that there is. */
const sharedMemory = [
  '--shared-memory',
  '--import-memory',
  '--max-memory=4294967296',
  ...['__wasm_init_tls', '__tls_size', '__tls_align', '__tls_base', '__heap_base'].map(
    (name) => `--export=${name}`,
  ),
].map((flag) => `link-arg=${flag}`);

/**
 * The two files: the crate's feature, the folder of the JavaScript around it, the folder of what the compiler makes, whose flags differ, and
 * what else the compiler is told.
 */
const single = {
  feature: 'web',
  glue: path.join(root, 'www', 'src', 'wasm'),
  target: path.join('target', 'page'),
  codegen: ['target-feature=+simd128'],
};
const threaded = {
  feature: 'threads',
  glue: path.join(single.glue, 'threads'),
  target: path.join('target', 'threads'),
  codegen: ['target-feature=+simd128,+atomics,+bulk-memory', ...sharedMemory],
};

/** The engine with one thread. Cargo knows whether there is anything to do. */
export async function buildEngine() {
  await installWasmTarget();
  if (await buildSmall(single)) return;
  console.log(
    'The engine will be larger than it needs to be: the standard library could not be built for it.',
  );
  const cargo = ['--lib', '--release', '--target', wasmTarget, '--no-default-features'];
  await must('cargo', ['build', ...cargo, '--features', single.feature]);
  await bound(path.join('target', wasmTarget, 'release', 'gradlens.wasm'), single.glue);
}

/** The engine with threads; false where it cannot be built, and the page has one thread everywhere. */
async function buildThreads() {
  if (await buildSmall(threaded)) return true;
  rmSync(threaded.glue, { recursive: true, force: true });
  console.log('The page will use one thread: the engine with threads could not be built.');
  return false;
}

/** Both at the same time, since the last step of each has one processor busy; whether there is one with threads. */
export async function buildEngines() {
  await installWasmTarget();
  await installRustSource();
  const [, threads] = await Promise.all([buildEngine(), buildThreads()]);
  return threads;
}

/** Builds a file with a standard library of its own, and leaves out what no picture needs; false where that cannot be done here. */
async function buildSmall(file) {
  if (!(await installRustSource())) return false;
  const { flags, env } = standardLibrary(file);
  // As a program alone: beside a library for Rust, it would not be optimised as a whole.
  const cargo = ['rustc', '--lib', '--crate-type', 'cdylib', '--profile', 'page', ...flags];
  if ((await run('cargo', cargo, { env })).code !== 0) return false;
  const wasm = path.join(file.target, wasmTarget, 'page', 'gradlens.wasm');
  await bound(wasm, file.glue, { trimmed: true });
  return true;
}

/**
 * What cargo is told to build the standard library, too: the one that is delivered knows no threads in WebAssembly, and carries the
 * texts of panics, which end the engine anyway. Only the compilers of every night allow that unless they are told that they are of the kind.
 */
function standardLibrary({ feature, target, codegen }) {
  const unstable = [
    'unstable-options',
    'location-detail=none',
    // Functions that are equal stay apart: trim.mjs knows them by their names.
    'merge-functions=disabled',
  ].flatMap((flag) => ['-Z', flag]);
  const stable = [...codegen, 'panic=immediate-abort', 'symbol-mangling-version=v0'];
  return {
    flags: [
      ...['--target', wasmTarget, '--target-dir', target],
      ...['--no-default-features', '--features', feature],
      ...['-Z', 'build-std=std,panic_abort', '-Z', 'build-std-features=optimize_for_size'],
    ],
    env: {
      RUSTC_BOOTSTRAP: '1',
      CARGO_ENCODED_RUSTFLAGS: [...unstable, ...stable.flatMap((flag) => ['-C', flag])].join(
        '\u001f',
      ),
    },
  };
}

/** The sources of the standard library; false where they cannot be had. */
async function installRustSource() {
  const sysroot = ask('rustc', ['--print', 'sysroot']);
  const lock = path.join('lib', 'rustlib', 'src', 'rust', 'library', 'Cargo.lock');
  if (sysroot && existsSync(path.join(sysroot, lock))) return true;
  return (await run('rustup', ['component', 'add', 'rust-src'])).code === 0;
}

/** The JavaScript around what cargo has made, unless it is there already. */
async function bound(made, folder, { trimmed = false } = {}) {
  const wasm = path.join(root, made);
  const stamp = path.join(folder, '.made-from');
  const kind = [trimmed ? trimming : '', named ? 'named' : ''];
  const from = digest(readFileSync(wasm), locked('wasm-bindgen') ?? '', ...kind);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === from) return;
  mkdirSync(folder, { recursive: true });
  await bind(wasm, folder, named || trimmed);
  if (trimmed) trim(path.join(folder, 'gradlens_bg.wasm'), { names: named });
  writeFileSync(stamp, from);
}

/** With wasm-bindgen where it is installed in the right version; else with a small program of ours that is built for it. */
async function bind(wasm, folder, names) {
  if (ask('wasm-bindgen', ['--version'])?.endsWith(` ${locked('wasm-bindgen')}`)) {
    const flags = ['--target', 'web', '--omit-default-module-path', '--out-name', 'gradlens'];
    if (!names) flags.push('--remove-name-section');
    await must('wasm-bindgen', [...flags, '--out-dir', folder, wasm]);
    return;
  }
  const manifest = path.join('scripts', 'bindgen', 'Cargo.toml');
  const flags = ['--release', '--manifest-path', manifest, '--target-dir', 'target/bindgen'];
  const env = { GRADLENS_NAMES: names ? 'kept' : '' };
  await must('cargo', ['run', ...flags, '--', wasm, folder], { env });
}
