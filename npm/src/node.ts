/** gradlens in Node: strings are paths of files, URLs are files' or addresses. */
import { readFile } from 'node:fs/promises';
import { opener, type Opener } from './open.ts';

/** Opens an ONNX classifier. */
export const open: Opener = opener({
  wasm: () => readFile(new URL('./wasm/gradlens_bg.wasm', import.meta.url)),
  read: async (address) => {
    if (typeof address === 'string' || address.protocol === 'file:') return readFile(address);
    const response = await fetch(address);
    if (!response.ok) throw new Error(`${address}: the server answered ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  },
});

export * from './api.ts';
