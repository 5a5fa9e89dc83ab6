/** The worker: everything that takes time happens here, one request after the other. */
import type { AnswerOf, Cancel, Kind, Reply, Request, Start } from '../protocol.ts';
import type { ExplainOptions, Explanation } from '../types.ts';
import { Downloads } from './download.ts';
import { Engine } from './engine.ts';

/** How long passes go on before the worker listens. */
const PATIENCE_MS = 100;
/** The page's folder: this script lies one below it. */
const PAGE = new URL('../', self.location.href).href;

const engine = new Engine();
let last: Promise<void> = Promise.resolve();

/** Requests that are to end. */
const cancelled = new Set<number>();

self.addEventListener('message', ({ data }: MessageEvent<Start | Request | Cancel>) => {
  if (data.kind === 'start') engine.start = data;
  else if (data.kind === 'cancel') cancelled.add(data.id);
  else last = last.then(() => serve(data));
});

/** The work of this request is not wanted any more. */
class Unwanted extends Error {}

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
      stopped: error instanceof Unwanted,
    });
  } finally {
    cancelled.delete(request.id);
  }
}

/** Calls `step` until it gives something; between two calls the worker hears whether that is still wanted. */
async function inParts<T>(id: number, step: () => T | undefined): Promise<T> {
  for (;;) {
    if (cancelled.has(id)) throw new Unwanted('it was stopped');
    const done = step();
    if (done !== undefined) return done;
    await hear();
  }
}

/** Lets the messages in that are waiting. */
function hear(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

async function answer(request: Request): Promise<{ value: AnswerOf<Kind>; give: Transferable[] }> {
  const { id } = request;
  const tell = (done: number, of: number): void =>
    send({ kind: 'progress', id, received: done, total: of, step: 'passes' });
  const explained = async (options: ExplainOptions): Promise<Explanation> => {
    await engine.digest(options);
    return inParts(id, () => engine.explain(options, tell, PATIENCE_MS));
  };
  switch (request.kind) {
    case 'load': {
      let bytes = { received: 0, total: null as number | null };
      const downloads = new Downloads(PAGE, (received, total) => {
        bytes = { received, total };
        send({ kind: 'progress', id, ...bytes, step: null });
      });
      const say = (step: string): void => send({ kind: 'progress', id, ...bytes, step });
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
      const explanation = await explained(request.options);
      const levels = engine.levels();
      return { value: { explanation, levels, stamp: engine.stamp() }, give: [levels.buffer] };
    }
    case 'pixels': {
      await engine.open(request.picture);
      const [picture, seen] = await Promise.all([engine.picture(), engine.seen()]);
      return { value: { stamp: engine.stamp(), picture, seen }, give: [picture, seen] };
    }
    case 'similarity':
      return { value: engine.similarity(request.a, request.b, request.width), give: [] };
    case 'save': {
      await engine.open(request.picture);
      await explained(request.options);
      const bytes = engine.file(request.what, request.look);
      return { value: { bytes }, give: [bytes.buffer] };
    }
    case 'where': {
      await engine.open(request.picture);
      await explained(request.options);
      return { value: { where: engine.where() }, give: [] };
    }
    case 'check': {
      await engine.open(request.picture);
      await explained(request.options);
      const entry = await inParts(id, () => engine.check(request.check, tell, PATIENCE_MS));
      return { value: { entry }, give: [] };
    }
    case 'hide': {
      await engine.open(request.picture);
      const { hidden, seen } = engine.hide(request.hide);
      return { value: { hidden, seen }, give: [seen.buffer] };
    }
  }
}

/** A trap, an exhausted stack or memory: the instance may be half way through anything. */
function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
}

function send(reply: Reply, give: Transferable[] = []): void {
  self.postMessage(reply, { transfer: give });
}
