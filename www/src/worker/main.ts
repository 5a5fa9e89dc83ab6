/** The worker: everything that takes time happens here, one request after the other. */
import type { AnswerOf, Kind, Reply, Request } from '../protocol.ts';
import { Downloads } from './download.ts';
import { Engine } from './engine.ts';

const engine = new Engine();
let last: Promise<void> = Promise.resolve();

self.addEventListener('message', (event: MessageEvent<Request>) => {
  const request = event.data;
  last = last.then(() => serve(request));
});

async function serve(request: Request): Promise<void> {
  try {
    const { value, give } = await answer(request);
    send({ kind: 'answer', id: request.id, value }, give);
  } catch (error) {
    send({
      kind: 'failure',
      id: request.id,
      message: error instanceof Error ? error.message : String(error),
      broken: isTrap(error),
    });
  }
}

async function answer(request: Request): Promise<{ value: AnswerOf<Kind>; give: Transferable[] }> {
  switch (request.kind) {
    case 'load': {
      let bytes = { received: 0, total: null as number | null };
      const downloads = new Downloads((received, total) => {
        bytes = { received, total };
        send({ kind: 'progress', ...bytes, step: null });
      });
      const say = (step: string): void => send({ kind: 'progress', ...bytes, step });
      const { source, companions } = request;
      return { value: await engine.load(source, companions, downloads, say), give: [] };
    }
    case 'configure':
      return { value: await engine.configure(request.manifest), give: [] };
    case 'labels':
      return { value: { labels: engine.labels(request.text) }, give: [] };
    case 'graph': {
      const bytes = engine.graph(request.layer, request.input);
      return { value: { bytes }, give: [bytes.buffer] };
    }
    case 'canonical':
      return { value: { bytes: engine.canonical(request.report) }, give: [] };
    case 'score': {
      const opened = await engine.open(request.picture);
      const thumb = await engine.thumb();
      return { value: { opened, thumb }, give: [thumb] };
    }
    case 'view': {
      await engine.open(request.picture);
      const explanation = engine.explain(request.options, tellPasses);
      const overlay = engine.overlay(request.look);
      const legend = engine.legend(request.look);
      const seen = engine.seen();
      const give = [overlay.buffer, legend.buffer, seen.buffer];
      return { value: { overlay, legend, seen, explanation }, give };
    }
    case 'save': {
      await engine.open(request.picture);
      engine.explain(request.options, tellPasses);
      const bytes = engine.file(request.what, request.look);
      return { value: { bytes }, give: [bytes.buffer] };
    }
  }
}

/** Tells the page how far a method is that makes many passes. */
function tellPasses(done: number, of: number): void {
  send({ kind: 'progress', received: done, total: of, step: 'passes' });
}

/** A trap, an exhausted stack or memory: the instance may be half way through anything. */
function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
}

function send(reply: Reply, give: Transferable[] = []): void {
  self.postMessage(reply, { transfer: give });
}
