/** What the other scripts share: running commands, finding out what is missing, and the steps from sources to the page. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');

export const wasmTarget = 'wasm32-unknown-unknown';

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
