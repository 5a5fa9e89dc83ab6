/** The page's end of the worker: requests with promises, and a new worker where the old one broke or was stopped. */
import type { AnswerOf, Kind, Progress, Reply, RequestOf } from '../protocol.ts';

/** The request was not answered because the engine broke or was stopped; the next one gets a new engine. */
export class EngineLost extends Error {
  override name = 'EngineLost';
}

interface Waiting {
  resolve(value: AnswerOf<Kind>): void;
  reject(error: Error): void;
}

export class EngineClient {
  #worker: Worker | null = null;
  #waiting = new Map<number, Waiting>();
  #id = 0;
  readonly #onProgress: (progress: Progress) => void;

  constructor(onProgress: (progress: Progress) => void) {
    this.#onProgress = onProgress;
  }

  ask<K extends Kind>(kind: K, request: RequestOf<K>): Promise<AnswerOf<K>> {
    const worker = (this.#worker ??= this.#start());
    const id = ++this.#id;
    return new Promise<AnswerOf<K>>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      worker.postMessage({ id, kind, ...request });
    });
  }

  /** Ends the worker, whatever it is doing. */
  stop(reason: string): void {
    this.#worker?.terminate();
    this.#worker = null;
    const lost = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of lost) reject(new EngineLost(reason));
  }

  #start(): Worker {
    const worker = new Worker(new URL('../worker/main.ts', import.meta.url), { type: 'module' });
    worker.addEventListener('message', (event: MessageEvent<Reply>) => this.#receive(event.data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.stop(event.message || 'the engine could not be started');
    });
    return worker;
  }

  #receive(reply: Reply): void {
    if (reply.kind === 'progress') {
      this.#onProgress(reply);
      return;
    }
    const waiting = this.#waiting.get(reply.id);
    if (!waiting) return;
    if (reply.kind === 'failure' && reply.broken) {
      this.stop(reply.message);
      return;
    }
    this.#waiting.delete(reply.id);
    if (reply.kind === 'answer') waiting.resolve(reply.value);
    else waiting.reject(new Error(reply.message));
  }
}
