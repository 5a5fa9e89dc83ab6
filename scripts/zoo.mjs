/** `npm run zoo`: exports the architectures of tests/zoo, checks their gradient graphs against PyTorch, and updates docs/zoo.md. */
import path from 'node:path';
import { python, virtualEnvironment } from './python.mjs';
import { checkRust, heading, must, root, run } from './steps.mjs';

const folder = path.join(root, 'target', 'zoo');
const requirements = path.join(root, 'tests', 'zoo', 'requirements.txt');

try {
  checkRust();
  heading('Packages of the zoo');
  await virtualEnvironment(folder, requirements);
  heading('Programs');
  await must('cargo', ['build', '--release', '--bins', '--examples']);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
heading('Zoo');
const { code } = await run(python(folder), [path.join('tests', 'zoo'), ...process.argv.slice(2)]);
process.exit(code);
