/**
 * gradlens in a browser, on a page or in a worker: strings and URLs are addresses, fetched from where they say and from nowhere
 * else.
 *
 * @example
 * import { open } from 'gradlens';
 * const classifier = await open('models/mine.onnx');
 * const { scores, map } = await classifier.explain(file);
 */
import { opener, type Opener } from './open.ts';

/** Opens an ONNX classifier. */
export const open: Opener = opener({
  wasm: () => fetch(new URL('./wasm/gradlens_bg.wasm', import.meta.url)),
  read: async (address) => {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`${address}: the server answered ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  },
});

export * from './api.ts';
