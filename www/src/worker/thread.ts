/** One thread of the engine: runs the engine's module over the engine's memory, and ends with the engine's worker. */
import { join, type Join } from './threads.ts';

self.addEventListener('message', (event: MessageEvent<Join>) => {
  const { trouble } = event.data;
  join(event.data).catch((error: unknown) => {
    // The engine may wait for this thread's part, so it is the page that has to know.
    const message = error instanceof Error ? error.message : String(error);
    new BroadcastChannel(trouble).postMessage(message);
  });
});
