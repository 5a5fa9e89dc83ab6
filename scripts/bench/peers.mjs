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
  const manifest = path.join(packages, 'onnxruntime-web', 'package.json');
  return { 'onnxruntime-web': JSON.parse(readFileSync(manifest, 'utf8')).version };
}

let interpreter;

/** A Python with the peers of tests/zoo/requirements.txt: the one that PYTHON names, or one made in target/bench/; null where there is none. */
export async function python() {
  interpreter ??= findPython();
  return interpreter;
}

async function findPython() {
  if (process.env.PYTHON) return process.env.PYTHON;
  const requirements = path.join('tests', 'zoo', 'requirements.txt');
  const folder = path.join(root, 'target', 'bench', 'venv');
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
    [made, ['-m', 'pip', 'install', '-q', '-r', requirements]],
  ];
  for (const [command, args] of steps) {
    if ((await run(command, args)).code !== 0) return null;
  }
  writeFileSync(stamp, wanted);
  return made;
}
