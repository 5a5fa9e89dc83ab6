/** Our engine with threads, in a worker as on the real page: a page's own thread may not wait for others. Each of its threads is one more of these workers. */
import { gradlens } from './runner.js';

const folder = './gradlens/threads/';

/** What a worker of this kind is to do: `threads`, `load`, `digest`, `run` for the engine, `join` for one of its threads. */
const methods = {
  async threads(count) {
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
  async join(module, memory) {
    const glue = await import(`${folder}gradlens.js`);
    glue.initSync({ module, memory });
    glue.join_threads();
  },
  load: (classifier) => engine.load(classifier),
  digest: () => engine.digest(),
  run: (what, count) => engine.run(what, count),
};

let engine = null;

self.addEventListener('message', async ({ data: { method, args } }) => {
  try {
    await methods[method](...args);
    self.postMessage({});
  } catch (error) {
    self.postMessage({ error: String(error) });
  }
});
