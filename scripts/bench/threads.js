/**
 * Engines with threads, in a worker: a page's own thread may not wait for others, and would go round and round. So is gradlens on the real page; each
 * of its threads is one more of these workers.
 */
import { gradlens } from './runner.js';
import { startTensorflow } from './tfjs.js';

const folder = './gradlens/threads/';

/** What a worker of this kind is to do: `gradlens` or `tfjs` to make an engine, then what it can; `join` for one of gradlens's threads. */
const methods = {
  async gradlens(count) {
    const glue = await import(`${folder}gradlens.js`);
    const address = new URL(`${folder}gradlens_bg.wasm`, import.meta.url);
    const module = await WebAssembly.compileStreaming(fetch(address));
    const { memory } = await glue.default({ module_or_path: module });
    for (let index = 1; index < count; index++) {
      const worker = new Worker(import.meta.url, { type: 'module' });
      worker.postMessage({ method: 'join', args: [module, memory] });
    }
    engine = gradlens(glue);
  },
  async tfjs(count) {
    engine = await startTensorflow(count);
  },
  async join(module, memory) {
    const glue = await import(`${folder}gradlens.js`);
    glue.initSync({ module, memory });
    glue.join_threads();
  },
  keep(given) {
    classifier = given;
  },
  load: () => engine.load(classifier),
  digest: () => engine.digest(),
  run: (what, count) => engine.run(what, count),
  scores: () => engine.scores(),
};

let engine = null;
let classifier = null;

self.addEventListener('message', async ({ data: { method, args } }) => {
  try {
    const value = await methods[method](...args);
    self.postMessage({ value });
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
});
