/** `npm run package`: the library for npm, from npm/ and the page's engine, as a tarball in target/npm/. */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buildEngine } from './engine.mjs';
import { checkRust, heading, installModules, modulePath, must, root } from './steps.mjs';

const folder = path.join(root, 'target', 'npm');
const wasm = path.join(root, 'www', 'src', 'wasm');

/** Makes the package out of the engine that is there; returns the tarball's path. */
export async function pack() {
  const stage = path.join(folder, 'gradlens');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  const from = (...parts) => path.join(root, ...parts);
  const to = (...parts) => path.join(stage, ...parts);
  for (const name of ['package.json', 'README.md']) cpSync(from('npm', name), to(name));
  for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) cpSync(from(name), to(name));
  // The two files of npm/src that lead out of it, to what the page has, lead to copies here.
  cpSync(from('npm', 'src'), to('src'), { recursive: true });
  copyTypes('types.ts', from('www', 'src'), to('src'));
  const glue = readFileSync(to('src', 'glue.ts'), 'utf8');
  writeFileSync(to('src', 'glue.ts'), glue.replaceAll('../../www/src/wasm/', './wasm/'));
  for (const name of ['gradlens.js', 'gradlens.d.ts']) {
    cpSync(path.join(wasm, name), to('src', 'wasm', name));
  }
  const config = {
    extends: path.join(root, 'npm', 'tsconfig.json'),
    compilerOptions: {
      rootDir: './src',
      outDir: './dist',
      noEmit: false,
      declaration: true,
      stripInternal: true,
      rewriteRelativeImportExtensions: true,
      typeRoots: [path.join(root, 'node_modules', '@types')],
    },
    include: ['./src'],
  };
  writeFileSync(to('tsconfig.json'), JSON.stringify(config));
  await must(process.execPath, [modulePath('typescript', 'bin/tsc'), '-p', stage]);
  for (const name of ['gradlens.js', 'gradlens.d.ts', 'gradlens_bg.wasm']) {
    cpSync(path.join(wasm, name), to('dist', 'wasm', name));
  }
  await must('npm', ['pack', stage, '--pack-destination', folder]);
  const { version } = JSON.parse(readFileSync(to('package.json'), 'utf8'));
  return path.join(folder, `gradlens-${version}.tgz`);
}

/** A file of types, and those that it imports. */
function copyTypes(name, from, to, done = new Set()) {
  if (done.has(name)) return;
  done.add(name);
  const text = readFileSync(path.join(from, name), 'utf8');
  writeFileSync(path.join(to, name), text);
  for (const [, other] of text.matchAll(/from '\.\/([\w.]+)'/g)) copyTypes(other, from, to, done);
}

if (import.meta.url === new URL(process.argv[1], 'file:').href) {
  try {
    checkRust();
    heading('Packages');
    await installModules();
    heading('Engine (Rust to WebAssembly)');
    await buildEngine();
    heading('Package');
    console.log(await pack());
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
