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
      explainer.digested('{}', await sha256(explainer.undigested('{}')));
    },
    async run(what, count) {
      for (let turn = 0; turn < count; turn++) actions[what]();
    },
  };
}

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
      const values = Float32Array.from({ length: 3 * size * size }, (_, i) => Math.sin(i / 9));
      const input = new ort.Tensor('float32', values, [1, 3, size, size]);
      feeds = { [session.inputNames[0]]: input };
    },
    async run(what, count) {
      for (let turn = 0; turn < count; turn++) await session.run(feeds);
    },
  };
}

/** Times a call on the wall's clock. */
export async function timed(action) {
  const start = performance.now();
  await action();
  return performance.now() - start;
}
