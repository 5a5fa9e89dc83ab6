/** The page of the benchmark: makes one engine, and does what the script outside asks for. */
import { gradlens, onnxruntime, timed } from './runner.js';
import { startTensorflow } from './tfjs.js';

const bytesOf = async (address) => {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
};

let engine = null;
let classifier = null;

/** The engine in a worker, behind the face of one that is here. */
async function inWorker(name, threads) {
  const worker = new Worker('./threads.js', { type: 'module' });
  const ask = (method, ...args) =>
    new Promise((resolve, reject) => {
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.onmessage = ({ data }) =>
        data.error ? reject(new Error(data.error)) : resolve(data.value);
      const transfer = method === 'keep' ? [args[0].bytes.buffer] : [];
      worker.postMessage({ method, args }, transfer);
    });
  await ask(name, threads);
  return {
    keep: (classifier) => ask('keep', classifier),
    load: () => ask('load'),
    digest: () => ask('digest'),
    run: (what, count) => ask('run', what, count),
    scores: () => ask('scores'),
  };
}

const makers = {
  async gradlens(threads) {
    if (threads > 1) return inWorker('gradlens', threads);
    const glue = await import('./gradlens/gradlens.js');
    await glue.default({ module_or_path: './gradlens/gradlens_bg.wasm' });
    return gradlens(glue);
  },
  async 'onnxruntime-web'(threads) {
    const ort = await import('./onnxruntime/ort.wasm.min.mjs');
    ort.env.wasm.wasmPaths = new URL('./onnxruntime/', location.href).href;
    return onnxruntime(ort, threads);
  },
  'tfjs-wasm': (threads) => (threads > 1 ? inWorker('tfjs', threads) : startTensorflow(threads)),
};

globalThis.bench = {
  async make(name, threads) {
    if (threads > 1 && !crossOriginIsolated) throw new Error('the page is not isolated');
    engine = await makers[name](threads);
  },
  /** Fetches a classifier and its picture; the time that takes is nobody's. */
  async fetch({ name, size, manifest, model, graph }) {
    const [bytes, picture] = await Promise.all([model, `models/${name}.png`].map(bytesOf));
    const text = graph && (await (await fetch(graph)).text());
    classifier = { name, size, manifest, bytes, picture, graph: text };
    // Its bytes are handed over once: a copy with each load would be counted as the engine's.
    await engine.keep?.(classifier);
  },
  load: () => timed(() => engine.load(classifier)),
  digest: () => timed(() => engine.digest()),
  run: (what, count) => timed(() => engine.run(what, count)),
  scores: () => engine.scores(),
};
