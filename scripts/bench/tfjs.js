/** TensorFlow.js in a browser, in a page or in a worker. */
import { tensorflow } from './runner.js';

export async function startTensorflow(threads) {
  // It takes no more threads than half the processors that it sees.
  Object.defineProperty(navigator, 'hardwareConcurrency', { value: 2 * threads });
  // Old scripts, both: they make a global `tf`.
  await import('./tensorflow/tfjs/dist/tf.min.js');
  await import('./tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js');
  const { tf } = globalThis;
  const folder = new URL('./tensorflow/tfjs-backend-wasm/dist/', import.meta.url).href;
  return tensorflow(tf, tf.wasm, folder, threads);
}
