/** Virtual environments with pinned packages, outside the tracked files. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ask, must } from './steps.mjs';

const windows = process.platform === 'win32';

/** The Python of the environment in a folder. */
export function python(folder) {
  return path.join(folder, 'venv', windows ? 'Scripts/python.exe' : 'bin/python');
}

/** Installs what a requirements file names into the environment of a folder, unless it is there already. */
export async function virtualEnvironment(folder, requirements) {
  const stamp = path.join(folder, 'venv', '.gradlens-requirements');
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  const system = windows ? 'python' : 'python3';
  if (ask(system, ['--version']) === null) throw new Error('Python 3.11 or newer is missing');
  mkdirSync(folder, { recursive: true });
  await must(system, ['-m', 'venv', path.join(folder, 'venv')]);
  await must(python(folder), ['-m', 'pip', 'install', '-q', '-r', requirements]);
  writeFileSync(stamp, wanted);
}
