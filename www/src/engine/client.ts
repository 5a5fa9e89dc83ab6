/** The page's end of the worker: requests with promises, and a new worker where the old one broke or was stopped. */
import type { AnswerOf, Cancel, Kind, Progress, Reply, RequestOf, Start } from '../protocol.ts';
import { threads } from './threads.ts';

/** The request was not answered because the engine broke or was stopped; the next one gets a new engine. */
export class EngineLost extends Error {
  override name = 'EngineLost';
}

/** The request was told to stop and did; the engine is as it was. */
export class Stopped extends Error {
  override name = 'Stopped';
}

/** How a single request is followed. */
export interface Following {
  /** Ends it between two passes. */
  signal?: AbortSignal;
  /** Is told of its passes in place of the page's line of progress. */
  onProgress?(progress: Progress): void;
}

interface Waiting {
  resolve(value: AnswerOf<Kind>): void;
  reject(error: Error): void;
  onProgress: ((progress: Progress) => void) | undefined;
}

/** How long a request that is to end may go on. */
const PATIENCE_MS = 1500;

export class EngineClient {
  #worker: Worker | null = null;
  #waiting = new Map<number, Waiting>();
  #id = 0;
  #threads = threads();
  /** Where the engine's threads say what they died of: its own worker may wait for them, and hear nothing. */
  #trouble: BroadcastChannel | null = null;
  readonly #onProgress: (progress: Progress) => void;

  constructor(onProgress: (progress: Progress) => void) {
    this.#onProgress = onProgress;
  }

  ask<K extends Kind>(
    kind: K,
    request: RequestOf<K>,
    { signal, onProgress }: Following = {},
  ): Promise<AnswerOf<K>> {
    const worker = (this.#worker ??= this.#start());
    const id = ++this.#id;
    const cancel = (): void => worker.postMessage({ kind: 'cancel', id } satisfies Cancel);
    return new Promise<AnswerOf<K>>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject, onProgress });
      worker.postMessage({ id, kind, ...request });
      if (signal?.aborted) cancel();
      else signal?.addEventListener('abort', cancel);
    }).finally(() => signal?.removeEventListener('abort', cancel));
  }

  /** Ends what is asked for between two passes, and the engine stays; where that takes too long, the worker ends with it. */
  interrupt(reason: string): void {
    const worker = this.#worker;
    const asked = [...this.#waiting.keys()];
    for (const id of asked) worker?.postMessage({ kind: 'cancel', id } satisfies Cancel);
    setTimeout(() => {
      const goesOn = asked.some((id) => this.#waiting.has(id));
      if (goesOn && worker === this.#worker) this.stop(reason);
    }, PATIENCE_MS);
  }

  /** Ends the worker, whatever it is doing. */
  stop(reason: string): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#trouble?.close();
    this.#trouble = null;
    const lost = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of lost) reject(new EngineLost(reason));
  }

  #start(): Worker {
    const worker = new Worker(new URL('../worker/main.ts', import.meta.url), { type: 'module' });
    worker.addEventListener('message', (event: MessageEvent<Reply>) => this.#receive(event.data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#broke(event.message || 'the engine could not be started');
    });
    const trouble = `gradlens/${performance.timeOrigin}/${Math.random()}`;
    this.#trouble = new BroadcastChannel(trouble);
    this.#trouble.addEventListener('message', (event: MessageEvent<string>) => {
      this.#broke(event.data);
    });
    worker.postMessage({ kind: 'start', threads: this.#threads, trouble } satisfies Start);
    return worker;
  }

  /** The next engine has one thread: that needs less of the browser, and of its memory. */
  #broke(reason: string): void {
    this.#threads = 1;
    this.stop(reason);
  }

  #receive(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    if (reply.kind === 'progress') {
      (waiting?.onProgress ?? this.#onProgress)(reply);
      return;
    }
    if (!waiting) return;
    if (reply.kind === 'failure' && reply.broken) {
      this.#broke(reply.message);
      return;
    }
    this.#waiting.delete(reply.id);
    if (reply.kind === 'answer') waiting.resolve(reply.value);
    else waiting.reject(new (reply.stopped ? Stopped : Error)(reply.message));
  }
}
