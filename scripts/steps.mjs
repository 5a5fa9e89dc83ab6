/** What the other scripts share: running commands, finding out what is missing, and the steps from sources to the page. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');

const wasmTarget = 'wasm32-unknown-unknown';
const glueFolder = path.join(root, 'www', 'src', 'wasm');
/** The file with threads has a folder of its own, and its compiler one for what it makes: the flags differ. */
const threadsGlue = path.join(glueFolder, 'threads');
const threadsTarget = path.join('target', 'threads');

export const cargoBin = path.join(
  process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo'),
  'bin',
);

const environment = {
  ...process.env,
  PATH: [process.env.PATH, cargoBin].join(path.delimiter),
  PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: '1',
};

export function heading(text) {
  console.log(`\n== ${text}`);
}

/** Runs a command, showing and keeping what it prints; resolves with its exit code and its output. */
export function run(command, args, { env = {}, cwd = root } = {}) {
  console.log(`$ ${[command, ...args].join(' ')}`);
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...environment, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: process.platform === 'win32',
    });
    let output = '';
    for (const [stream, sink] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        output += text;
        sink.write(text);
      });
    }
    child.on('error', (error) => resolve({ code: 127, output: `${output}\n${error.message}` }));
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

/** Runs a command that must succeed. */
export async function must(command, args, options) {
  const { code } = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args[0] ?? ''} ended with exit code ${code}`);
}

/** What a command prints, or null where it is missing or fails. */
export function ask(command, args) {
  const { status, stdout } = spawnSync(command, args, {
    cwd: root,
    env: environment,
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() : null;
}

/** The version of a crate in the root Cargo.lock. */
export function locked(crate) {
  const lock = readFileSync(path.join(root, 'Cargo.lock'), 'utf8');
  return lock.match(new RegExp(`name = "${crate}"\\r?\\nversion = "([^"]+)"`))?.[1] ?? null;
}

export function checkRust() {
  if (ask('cargo', ['--version']) === null) {
    throw new Error('Rust is missing: install rustup from https://rustup.rs and try again');
  }
}

/** Installs what package-lock.json names, unless it is there already. */
export async function installModules() {
  const stamp = path.join(root, 'node_modules', '.gradlens-lock');
  const wanted = digest(readFileSync(path.join(root, 'package-lock.json')), process.version);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  await must('npm', ['ci', '--no-audit', '--no-fund']);
  writeFileSync(stamp, wanted);
}

export async function installWasmTarget() {
  const sysroot = ask('rustc', ['--print', 'sysroot']);
  if (sysroot && existsSync(path.join(sysroot, 'lib', 'rustlib', wasmTarget))) return;
  await must('rustup', ['target', 'add', wasmTarget]);
}

/** The engine as WebAssembly, and the JavaScript around it. Cargo knows whether there is anything to do. */
export async function buildEngine() {
  await installWasmTarget();
  await must('cargo', ['build', ...engineFlags('web')]);
  await bound('target', glueFolder);
}

const engineFlags = (feature) => [
  ...['--lib', '--release', '--target', wasmTarget],
  ...['--no-default-features', '--features', feature],
];

/** Memory that threads share is made outside of them, and its size has an end: 4 GiB, all that there is. */
const sharedMemory = [
  '--shared-memory',
  '--import-memory',
  '--max-memory=4294967296',
  ...['__wasm_init_tls', '__tls_size', '__tls_align', '__tls_base', '__heap_base'].map(
    (name) => `--export=${name}`,
  ),
];

/**
 * What the engine with threads is built with. The standard library as it is delivered knows no threads in WebAssembly: it is built, too, which
 * only the compilers of every night allow unless they are told that they are of the kind.
 */
export const threadsBuild = {
  flags: ['-Z', 'build-std=std,panic_abort', '--target-dir', threadsTarget],
  env: {
    RUSTC_BOOTSTRAP: '1',
    CARGO_ENCODED_RUSTFLAGS: [
      'target-feature=+simd128,+atomics,+bulk-memory',
      ...sharedMemory.map((flag) => `link-arg=${flag}`),
    ]
      .flatMap((flag) => ['-C', flag])
      .join('\u001f'),
  },
};

/** The engine with threads, for pages that are cross-origin isolated; false where it cannot be built, and the page has one thread everywhere. */
export async function buildThreads() {
  await installWasmTarget();
  const { flags, env } = threadsBuild;
  const built =
    (await installRustSource()) &&
    (await run('cargo', ['build', ...engineFlags('threads'), ...flags], { env })).code === 0;
  if (built) {
    await bound(threadsTarget, threadsGlue);
    return true;
  }
  rmSync(threadsGlue, { recursive: true, force: true });
  console.log('The page will use one thread: the engine with threads could not be built.');
  return false;
}

/** The sources of the standard library; false where they cannot be had. */
async function installRustSource() {
  const sysroot = ask('rustc', ['--print', 'sysroot']);
  const lock = path.join('lib', 'rustlib', 'src', 'rust', 'library', 'Cargo.lock');
  if (sysroot && existsSync(path.join(sysroot, lock))) return true;
  return (await run('rustup', ['component', 'add', 'rust-src'])).code === 0;
}

/** Functions keep their names where GRADLENS_NAMES is set: profilers want them, visitors would download a tenth more. */
const named = Boolean(process.env.GRADLENS_NAMES);

/** The JavaScript around what cargo has made, unless it is there already. */
async function bound(targetFolder, folder) {
  const wasm = path.join(root, targetFolder, wasmTarget, 'release', 'gradlens.wasm');
  const stamp = path.join(folder, '.made-from');
  const made = digest(readFileSync(wasm), locked('wasm-bindgen') ?? '', named ? 'named' : '');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === made) return;
  mkdirSync(folder, { recursive: true });
  await bind(wasm, folder);
  writeFileSync(stamp, made);
}

/** With wasm-bindgen where it is installed in the right version; else with a small program of ours that is built for it. */
async function bind(wasm, folder) {
  if (ask('wasm-bindgen', ['--version'])?.endsWith(` ${locked('wasm-bindgen')}`)) {
    const flags = ['--target', 'web', '--omit-default-module-path', '--out-name', 'gradlens'];
    const names = named ? [] : ['--remove-name-section'];
    await must('wasm-bindgen', [...flags, ...names, '--out-dir', folder, wasm]);
    return;
  }
  const manifest = path.join('scripts', 'bindgen', 'Cargo.toml');
  const flags = ['--release', '--manifest-path', manifest, '--target-dir', 'target/bindgen'];
  await must('cargo', ['run', ...flags, '--', wasm, folder]);
}

/** The page, into www/dist/. */
export async function buildPage() {
  await must(process.execPath, [modulePath('vite', 'bin/vite.js'), 'build', 'www']);
}

/** A script inside an installed package, so that nothing depends on how npm links them. */
export function modulePath(name, file) {
  return path.join(root, 'node_modules', name, file);
}

export function digest(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
