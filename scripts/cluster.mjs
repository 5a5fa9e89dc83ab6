/** `npm run cluster`: real X-rays through gradlens on Ray and on Spark, two workers each, compared with one process to the bit. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { checkRust, heading, must, root, run } from './steps.mjs';
import { python, virtualEnvironment } from './python.mjs';

const folder = path.join(root, 'target', 'cluster');
const example = path.join(root, 'examples', 'cluster');
const xrays = path.resolve(process.argv[2] ?? path.join(root, '..', 'shared', 'xrays'));
const windows = process.platform === 'win32';
const gradlens = path.join(root, 'target', 'release', windows ? 'gradlens.exe' : 'gradlens');

if (!existsSync(path.join(xrays, 'manifest.csv'))) {
  console.log(`skipped: it needs X-rays with a manifest.csv, and there are none in ${xrays}`);
  process.exit(0);
}
try {
  checkRust();
  heading('Packages');
  await virtualEnvironment(folder, path.join(example, 'requirements.txt'));
  heading('Program');
  if (process.env.GRADLENS === undefined) await must('cargo', ['build', '--release', '--bins']);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
heading('Cluster');
const args = ['--gradlens', process.env.GRADLENS ?? gradlens, '--xrays', xrays];
const { code } = await run(
  python(folder),
  [path.join(example, 'check.py'), ...args, '--work', path.join(folder, 'work')],
  { env: { GRADLENS_MODELS: path.join(root, 'models') } },
);
process.exit(code);
