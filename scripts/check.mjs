/** `npm run check`: types of the page, the worker and the tests, and the formatting of all of it. */
import { installModules, modulePath, run } from './steps.mjs';

export async function check() {
  const tsc = modulePath('typescript', 'bin/tsc');
  const prettier = modulePath('prettier', 'bin/prettier.cjs');
  let failed = 0;
  for (const project of ['www', 'www/src/worker', 'tests/e2e', 'npm']) {
    failed += (await run(process.execPath, [tsc, '-p', project])).code === 0 ? 0 : 1;
  }
  failed += (await run(process.execPath, [prettier, '--check', '.'])).code === 0 ? 0 : 1;
  return failed;
}

if (import.meta.url === new URL(process.argv[1], 'file:').href) {
  await installModules();
  process.exit((await check()) === 0 ? 0 : 1);
}
