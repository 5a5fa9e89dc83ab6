/** A static host as people have them: in a subfolder, with or without headers and parts of files, now and then breaking off. */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

export interface Answered {
  path: string;
  status: number;
  /** Bytes of the body that were sent. */
  bytes: number;
  range: string | null;
}

export class Host {
  /** The folder that is served; another one is another version of the page. */
  folder: string;
  /** Headers of every answer. */
  headers: Record<string, string> = {};
  /** Whether it sends parts of files. */
  ranges = true;
  /** After how many bytes the connection ends, for each request of the file whose path ends so; null or none left for never. */
  breaks: { path: string; after: (number | null)[] } | null = null;
  readonly log: Answered[] = [];
  readonly #server = createServer((request, response) => {
    this.#answer(request, response).catch(() => response.destroy());
  });
  #port = 0;
  readonly #prefix: string;

  /** `prefix`: the folder of the page on the host, as `/tools/`. */
  constructor(folder: string, prefix = '/') {
    this.folder = folder;
    this.#prefix = prefix;
  }

  get address(): string {
    return `http://127.0.0.1:${this.#port}${this.#prefix}`;
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Bytes that were sent of the files whose path ends so. */
  sent(ending: string): number {
    return this.log
      .filter((answer) => answer.path.endsWith(ending))
      .reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', this.address);
    const range = request.headers.range ?? null;
    const entry: Answered = { path: pathname, status: 404, bytes: 0, range };
    this.log.push(entry);
    const name = pathname.slice(this.#prefix.length) || 'index.html';
    const inside = pathname.startsWith(this.#prefix) && !name.includes('..');
    const body = inside ? await readFile(path.join(this.folder, name)).catch(() => null) : null;
    if (!body) {
      response.writeHead(404).end();
      return;
    }
    const start = this.ranges ? Number(range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0) : 0;
    const part = body.subarray(start);
    entry.status = start > 0 ? 206 : 200;
    response.writeHead(entry.status, {
      ...this.headers,
      'Content-Type': types[path.extname(name)] ?? 'application/octet-stream',
      'Content-Length': part.length,
      'Cache-Control': 'no-store',
      ...(start > 0 && {
        'Content-Range': `bytes ${start}-${body.length - 1}/${body.length}`,
      }),
    });
    const { breaks } = this;
    const after = breaks && pathname.endsWith(breaks.path) ? (breaks.after.shift() ?? null) : null;
    const sent = after === null ? part : part.subarray(0, after);
    entry.bytes = sent.length;
    if (after !== null) response.write(sent, () => setTimeout(() => response.destroy(), 200));
    else response.end(sent);
  }
}
