/** Classifiers for TensorFlow.js, converted by TensorFlow's own converter. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { digest, root, run } from '../steps.mjs';
import { converterPackages, tensorflow } from './peers.mjs';

const script = path.join('scripts', 'bench', 'tfjs_convert.py');

/** Where a classifier is, converted; null, after a line that says why, where it cannot be. */
export async function converted({ name, model }) {
  const folder = path.join(root, 'target', 'bench', 'tfjs', name);
  const stamp = path.join(folder, '.made-from');
  const parts = [model, path.join(root, script), path.join(root, converterPackages)];
  const made = digest(...parts.map((part) => readFileSync(part)));
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === made) return folder;
  const interpreter = await tensorflow();
  if (interpreter === null) {
    console.log(`TensorFlow.js is left out for ${name}: its converter cannot be installed here`);
    return null;
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { code, output } = await run(interpreter, [script, model, folder]);
  if (code !== 0) {
    const reason = output.trim().split('\n').at(-1).trim();
    console.log(`TensorFlow.js is left out for ${name}, which does not convert: ${reason}`);
    return null;
  }
  writeFileSync(stamp, made);
  return folder;
}

/** The files of a classifier that an engine reads. */
export function filesFor(engine, { model, tfjs }) {
  if (engine !== 'tfjs-wasm') return { model };
  return { model: `${tfjs}/group1-shard1of1.bin`, graph: `${tfjs}/model.json` };
}
