/** What the benchmark compares with: packages of npm, and of Python where that can be had. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ask, must, root, run } from '../steps.mjs';

const here = path.join(root, 'scripts', 'bench');

/** Where npm puts the peers. */
export const packages = path.join(here, 'node_modules');

/** Installs the peers that npm has; their versions. */
export async function installPeers() {
  const lock = readFileSync(path.join(here, 'package-lock.json'), 'utf8');
  const stamp = path.join(packages, '.gradlens-lock');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
    await must('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: here });
    writeFileSync(stamp, lock);
  }
  const version = (name) =>
    JSON.parse(readFileSync(path.join(packages, name, 'package.json'), 'utf8')).version;
  return {
    'onnxruntime-web': version('onnxruntime-web'),
    'TensorFlow.js': version('@tensorflow/tfjs-backend-wasm'),
  };
}

let interpreter;

/** A Python with the peers of tests/zoo/requirements.txt: the one that PYTHON names, or one made in target/bench/; null where there is none. */
export async function python() {
  interpreter ??= process.env.PYTHON ?? environment('venv', 'tests/zoo/requirements.txt');
  return interpreter;
}

/** The packages of TensorFlow's converter. */
export const converterPackages = path.join('scripts', 'bench', 'tfjs_requirements.txt');

let converter;

/** A Python with TensorFlow's converter, made in target/bench/: its packages go with no others; null where it cannot be had. */
export async function tensorflow() {
  converter ??= environment('venv-tfjs', converterPackages, ['--no-deps']);
  return converter;
}

/** A Python in a folder of target/bench/, with the packages that a file lists. */
async function environment(name, requirements, flags = []) {
  const folder = path.join(root, 'target', 'bench', name);
  const windows = process.platform === 'win32';
  const made = path.join(folder, windows ? 'Scripts/python.exe' : 'bin/python');
  const stamp = path.join(folder, '.gradlens-requirements');
  const wanted = readFileSync(path.join(root, requirements), 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return made;
  const system = windows ? 'python' : 'python3';
  if (ask(system, ['--version']) === null) return null;
  mkdirSync(folder, { recursive: true });
  const steps = [
    [system, ['-m', 'venv', folder]],
    [made, ['-m', 'pip', 'install', '-q', ...flags, '-r', requirements]],
  ];
  for (const [command, args] of steps) {
    if ((await run(command, args)).code !== 0) return null;
  }
  writeFileSync(stamp, wanted);
  return made;
}
