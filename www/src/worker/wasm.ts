/** The engine's WebAssembly: with threads where the page may have them and they can be had, else the file that always works. */
import * as glue from '../wasm/gradlens.js';
import address from '../wasm/gradlens_bg.wasm?url';
import type { Start } from '../protocol.ts';
import type { Downloads } from './download.ts';
import { startThreads } from './threads.ts';

export type Glue = typeof glue;

export async function startWasm({ threads, trouble }: Start, downloads: Downloads): Promise<Glue> {
  if (threads > 1) {
    try {
      const threaded = await startThreads(threads, trouble, downloads);
      if (threaded) return threaded;
    } catch (error) {
      console.info('One thread, since the engine with several cannot be started:', error);
    }
  }
  const response = downloads.engine(new URL(address, import.meta.url).href);
  await glue.default({ module_or_path: response });
  return glue;
}
