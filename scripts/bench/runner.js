/** The engines that run in JavaScript, behind one face: `load` a classifier, `run` something a number of times. Used in a page and in Node. */

/** Our engine. `glue` is the module that wasm-bindgen makes, its WebAssembly instantiated. */
export function gradlens(glue) {
  let explainer = null;
  let picture = null;
  const hex = (digest) =>
    Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const sha256 = async (bytes) => hex(await crypto.subtle.digest('SHA-256', bytes));
  let file = null;
  const actions = {
    forward: () => explainer.open('picture.png', picture),
    class: () => explainer.explain('{"class": 1}'),
    cam: () => {
      explainer.open('picture.png', picture);
      explainer.explain('{}');
    },
  };
  return {
    async load(classifier) {
      explainer?.free();
      explainer = null;
      picture = classifier.picture;
      const { bytes, manifest, name } = classifier;
      file = bytes;
      const later = [undefined, undefined, true];
      explainer = new glue.Explainer(bytes, manifest ?? undefined, `${name}.onnx`, ...later);
    },
    /** The checksums of the model and of its gradient graph, as the page computes them. */
    async digest() {
      explainer.identify(await sha256(file));
      const graph = explainer.undigested('{}');
      if (graph) explainer.digested('{}', await sha256(graph));
    },
    async run(what, count) {
      for (let turn = 0; turn < count; turn++) actions[what]();
    },
  };
}

/** A picture that the peers take: rows of numbers in the order of ONNX, [1, 3, size, size]. */
const wave = (size) => Float32Array.from({ length: 3 * size * size }, (_, i) => Math.sin(i / 9));

/** onnxruntime-web on its WebAssembly provider. */
export function onnxruntime(ort, threads) {
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';
  let session = null;
  let feeds = null;
  return {
    async load(classifier) {
      await session?.release();
      const options = { executionProviders: ['wasm'], graphOptimizationLevel: 'all' };
      session = await ort.InferenceSession.create(classifier.bytes, options);
      const { size } = classifier;
      const input = new ort.Tensor('float32', wave(size), [1, 3, size, size]);
      feeds = { [session.inputNames[0]]: input };
    },
    async run(what, count) {
      for (let turn = 0; turn < count; turn++) await session.run(feeds);
    },
    async scores() {
      const outputs = await session.run(feeds);
      return Array.from(outputs[session.outputNames[0]].data);
    },
  };
}

/** TensorFlow.js on its WebAssembly backend, `wasm`, whose files a folder holds: with SIMD, and with threads if there are to be several. */
export async function tensorflow(tf, wasm, folder, threads) {
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', threads > 1);
  wasm.setWasmPaths(folder);
  wasm.setThreadsCount(threads);
  if (!(await tf.setBackend('wasm'))) throw new Error('the WebAssembly backend does not start');
  if (wasm.getThreadsCount() !== threads)
    throw new Error(`it has ${wasm.getThreadsCount()} threads`);
  let model = null;
  let picture = null;
  /** What goes into the last pooling: the layer that is explained. */
  let layer = null;
  let maps = null;
  const forward = () => tf.tidy(() => model.execute(picture).dataSync());
  /** Grad-CAM: the layers after the maps run once more, forwards and backwards. */
  const explain = (from, index) => {
    const score = (of) => tf.sum(tf.slice(model.execute({ [layer]: of }), [0, index], [1, 1]));
    const weights = tf.mean(tf.grad(score)(from), [1, 2], true);
    return tf.relu(tf.sum(tf.mul(from, weights), 3)).dataSync();
  };
  const actions = {
    forward,
    cam: () =>
      tf.tidy(() => {
        const [reached, outputs] = model.execute(picture, [layer, model.outputNodes[0]]);
        const scores = outputs.dataSync();
        return explain(reached, scores.indexOf(Math.max(...scores)));
      }),
    class: () => {
      maps ??= model.execute(picture, layer);
      return tf.tidy(() => explain(maps, 1));
    },
  };
  return {
    async load({ bytes, graph, size }) {
      for (const old of [model, picture, maps]) old?.dispose();
      maps = null;
      const { weightsManifest, ...artifacts } = JSON.parse(graph);
      const [{ weights: weightSpecs }] = weightsManifest;
      const nodes = artifacts.modelTopology.node;
      layer = nodes.findLast(({ op }) => op === 'Mean').input[0];
      const weightData = bytes.buffer;
      model = await tf.loadGraphModel(tf.io.fromMemory({ ...artifacts, weightSpecs, weightData }));
      const planes = tf.tensor(wave(size), [1, 3, size, size]);
      picture = tf.transpose(planes, [0, 2, 3, 1]);
      planes.dispose();
    },
    async run(what, count) {
      for (let turn = 0; turn < count; turn++) actions[what]();
    },
    scores: async () => Array.from(forward()),
  };
}

/** Times a call on the wall's clock. */
export async function timed(action) {
  const start = performance.now();
  await action();
  return performance.now() - start;
}
