/** One engine in a process of Node's, told by messages what to do: `child.mjs NAME THREADS`. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from '../steps.mjs';
import { gradlens, onnxruntime, tensorflow, timed } from './runner.js';
import { packages } from './peers.mjs';
import { filesFor } from './tfjs.mjs';

const [name, threads] = process.argv.slice(2);

let engine = null;
let classifier = null;

async function make() {
  if (name === 'gradlens') {
    const folder = path.join(root, 'www', 'src', 'wasm');
    const glue = await import(path.join(folder, 'gradlens.js'));
    const module = readFileSync(path.join(folder, 'gradlens_bg.wasm'));
    glue.initSync({ module });
    engine = gradlens(glue);
  } else if (name === 'tfjs-wasm') {
    const tf = (await import('@tensorflow/tfjs')).default;
    const wasm = (await import('@tensorflow/tfjs-backend-wasm')).default;
    const folder = path.join(packages, '@tensorflow', 'tfjs-backend-wasm', 'dist', path.sep);
    engine = await tensorflow(tf, wasm, folder, Number(threads));
  } else {
    const file = path.join(packages, 'onnxruntime-web', 'dist', 'ort.node.min.mjs');
    engine = onnxruntime(await import(file), Number(threads));
  }
}

/** The wall's time of an action, and the processor's. */
async function measured(action) {
  const before = process.cpuUsage();
  const wall = await timed(action);
  const { user, system } = process.cpuUsage(before);
  return { wall, cpu: (user + system) / 1000 };
}

const methods = {
  make,
  fetch: (given) => {
    const { model, graph } = filesFor(name, given);
    const text = graph && readFileSync(graph, 'utf8');
    classifier = { ...given, bytes: new Uint8Array(readFileSync(model)), graph: text };
  },
  load: () => measured(() => engine.load(classifier)),
  digest: () => measured(() => engine.digest()),
  run: (what, count) => measured(() => engine.run(what, count)),
  scores: () => engine.scores(),
};

process.on('message', async ({ method, args }) => {
  try {
    process.send({ value: (await methods[method](...args)) ?? null });
  } catch (error) {
    process.send({ error: error.message });
  }
});
