/** `npm run zoo`: exports the architectures of tests/zoo, checks their gradient graphs against PyTorch, and updates docs/zoo.md. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ask, checkRust, heading, must, root, run } from './steps.mjs';

const folder = path.join(root, 'target', 'zoo');
const requirements = path.join(root, 'tests', 'zoo', 'requirements.txt');
const windows = process.platform === 'win32';
const python = path.join(folder, 'venv', windows ? 'Scripts/python.exe' : 'bin/python');

/** A virtual environment with the pinned packages, outside the tracked files. */
async function installPackages() {
  const stamp = path.join(folder, 'venv', '.gradlens-requirements');
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  const system = windows ? 'python' : 'python3';
  if (ask(system, ['--version']) === null) throw new Error('Python 3.11 or newer is missing');
  mkdirSync(folder, { recursive: true });
  await must(system, ['-m', 'venv', path.join(folder, 'venv')]);
  await must(python, ['-m', 'pip', 'install', '-q', '-r', requirements]);
  writeFileSync(stamp, wanted);
}

try {
  checkRust();
  heading('Packages of the zoo');
  await installPackages();
  heading('Programs');
  await must('cargo', ['build', '--release', '--bins', '--examples']);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
heading('Zoo');
const { code } = await run(python, [path.join('tests', 'zoo'), ...process.argv.slice(2)]);
process.exit(code);
