/** The engine's WebAssembly with threads: the file, its start, and the workers that run its threads. */
import type * as Glue from '../wasm/gradlens.js';
import type { Downloads } from './download.ts';

/** What the file with threads has beside what both have. */
type ThreadedGlue = typeof Glue & {
  join_threads(): void;
};

/** What a worker needs to become a thread. */
export interface Join {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  /** The channel on which it says what it died of. */
  trouble: string;
}

/** Milliseconds after which a start that does not come to an end counts as failed. */
const PATIENCE = 15_000;

// Globs, since the file is missing where the compiler's sources could not be had.
const glues = import.meta.glob<ThreadedGlue>('../wasm/threads/gradlens.js');
const files = import.meta.glob<string>('../wasm/threads/gradlens_bg.wasm', {
  query: '?url',
  import: 'default',
  eager: true,
});

/** Starts the file with threads; null where the page was built without it. */
export async function startThreads(
  count: number,
  trouble: string,
  downloads: Downloads,
): Promise<typeof Glue | null> {
  const [load] = Object.values(glues);
  const [file] = Object.values(files);
  if (!load || !file) return null;
  const [glue, module] = await Promise.all([
    load(),
    downloads
      .engine(new URL(file, import.meta.url).href)
      .then((response) => WebAssembly.compileStreaming(response)),
  ]);
  const { memory } = await within(PATIENCE, glue.default({ module_or_path: module }));
  for (let index = 1; index < count; index++) {
    const worker = new Worker(new URL('./thread.ts', import.meta.url), { type: 'module' });
    // A thread that does not come is not waited for: its work is done by the others.
    worker.addEventListener('error', (event) => event.preventDefault());
    worker.postMessage({ module, memory, trouble } satisfies Join);
  }
  return glue;
}

/** Becomes a thread; comes back only where that fails. */
export async function join({ module, memory }: Join): Promise<void> {
  const [load] = Object.values(glues);
  if (!load) return;
  const glue = await load();
  glue.initSync({ module, memory });
  glue.join_threads();
}

function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('it does not start')), milliseconds);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
