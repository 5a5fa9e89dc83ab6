/** Downloads with progress, from the page's own origin; what the build knows of is kept, verified, and resumed where it broke off. */
import { canDigest, sha256 } from './digest.ts';
import { type KnownFile, Store } from './store.ts';

declare global {
  /** The large files of the build, by their path below the page. */
  const __KNOWN_FILES__: Record<string, KnownFile>;
}

/** How often a download is taken up again that brings nothing new. */
const TRIES = 3;
const PAUSE_MS = 500;

/** The server answered, with a refusal: asking again is of no use. */
class Refused extends Error {}

/** Sums the downloads that run side by side; the total is unknown as soon as one of them is. */
export class Downloads {
  #received = 0;
  #total: number | null = 0;
  readonly #report: (received: number, total: number | null) => void;
  readonly #base: string;
  #store: Promise<Store | null> | null = null;

  /** `base` is the page's address, where its files lie. */
  constructor(base: string, report: (received: number, total: number | null) => void) {
    this.#base = base;
    this.#report = report;
  }

  /** The response, once its headers are there, its body counted as it is read. */
  async fetch(address: string): Promise<Response> {
    const response = await ask(address);
    if (!response.ok) throw refusal(address, response);
    const length = Number(response.headers.get('content-length'));
    // A compressed body's length is not the length of what is read from it.
    const known = length > 0 && !response.headers.has('content-encoding');
    this.#expect(known ? length : null);
    if (!response.body) return response;
    const counter = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (chunk, controller) => {
        this.#count(chunk.byteLength);
        controller.enqueue(chunk);
      },
    });
    return new Response(response.body.pipeThrough(counter), { headers: response.headers });
  }

  /** The engine: as `fetch`, out of what this browser keeps where it is there, and kept where it was not. */
  async engine(address: string): Promise<Response> {
    const cache = await engineCache(this.#base);
    const kept = await cache?.match(address);
    if (kept) return kept;
    const response = await this.fetch(address);
    void cache?.put(address, response.clone()).catch(() => {});
    return response;
  }

  /** Sees to it that a file is kept; throws where it cannot be had or is not known. */
  async keep(address: string): Promise<void> {
    const file = this.#file(address);
    const store = await (this.#store ??= Store.at(this.#base));
    if (!file || !store) throw new Error(`${fileName(address)}: cannot be kept`);
    if (!(await store.has(file))) await this.#known(address, file);
    if (!(await store.has(file))) throw new Error(`${fileName(address)}: no room to keep it`);
  }

  async bytes(address: string): Promise<Uint8Array<ArrayBuffer>> {
    const file = this.#file(address);
    if (file) return this.#known(address, file);
    const response = await this.fetch(address);
    try {
      return new Uint8Array(await response.arrayBuffer());
    } catch (cause) {
      throw new Error(`${fileName(address)}: the download broke off`, { cause });
    }
  }

  /** The sha256 that `bytes` found a file to have; undefined where it did not look. */
  digest(address: string): string | undefined {
    return canDigest ? this.#file(address)?.sha256 : undefined;
  }

  #file(address: string): KnownFile | undefined {
    return address.startsWith(this.#base)
      ? __KNOWN_FILES__[address.slice(this.#base.length)]
      : undefined;
  }

  async #known(address: string, file: KnownFile): Promise<Uint8Array<ArrayBuffer>> {
    this.#expect(file.bytes);
    const store = await (this.#store ??= Store.at(this.#base));
    return alone(file, () => this.#whole(address, file, store));
  }

  async #whole(
    address: string,
    file: KnownFile,
    store: Store | null,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(file.bytes);
    const kept = (await store?.read(file, bytes)) ?? 0;
    this.#count(kept);
    await this.#resume(address, file, bytes, kept, store);
    if (await isWhole(bytes, file)) return bytes;
    await store?.drop(file);
    if (kept > 0) {
      this.#count(-file.bytes);
      await this.#resume(address, file, bytes, 0, store);
      if (await isWhole(bytes, file)) return bytes;
      await store?.drop(file);
    }
    throw new Error(`${fileName(address)}: not the file that belongs to this page. Load it again.`);
  }

  /** Downloads what is missing of a file, going on where a broken connection left it. */
  async #resume(
    address: string,
    file: KnownFile,
    bytes: Uint8Array<ArrayBuffer>,
    kept: number,
    store: Store | null,
  ): Promise<void> {
    const part = { bytes, have: kept };
    for (let failures = 0; part.have < file.bytes;) {
      const before = part.have;
      try {
        await this.#stream(address, part);
      } catch (cause) {
        if (cause instanceof Refused) throw cause;
        failures = part.have > before ? 1 : failures + 1;
        if (failures === TRIES) {
          throw new Error(
            `${fileName(address)}: the download broke off. Is the server still there?`,
            {
              cause,
            },
          );
        }
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * failures));
      } finally {
        await store?.keep(file, bytes, Math.min(before, part.have), part.have);
      }
    }
  }

  /** One request, for what is missing; a server that does not send parts of files starts again. */
  async #stream(address: string, part: { bytes: Uint8Array; have: number }): Promise<void> {
    const { bytes } = part;
    const response = await ask(address, part.have > 0 ? { Range: `bytes=${part.have}-` } : {});
    const goesOn = response.status === 206 && startOf(response) === part.have;
    if (!goesOn && part.have > 0) {
      this.#count(-part.have);
      part.have = 0;
      // 416: the file is shorter there; 206: not the part that was asked for.
      if (response.status === 416 || response.status === 206) return response.body?.cancel();
    }
    if (!response.ok || !response.body) throw refusal(address, response);
    const reader = response.body.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const chunk = next.value;
      if (part.have + chunk.length > bytes.length) {
        await reader.cancel();
        throw new Refused(`${fileName(address)}: longer than the file that belongs to this page`);
      }
      bytes.set(chunk, part.have);
      part.have += chunk.length;
      this.#count(chunk.length);
    }
    if (part.have < bytes.length) throw new Error('the connection ended early');
  }

  #expect(bytes: number | null): void {
    this.#total = bytes !== null && this.#total !== null ? this.#total + bytes : null;
  }

  #count(bytes: number): void {
    this.#received += bytes;
    this.#report(this.#received, this.#total);
  }
}

/** Where the engines are kept that a visit used: their names hold a hash of their content. */
export async function engineCache(base: string): Promise<Cache | null> {
  try {
    return await caches.open(`gradlens-engines ${base}`);
  } catch {
    return null;
  }
}

/** Another tab or the service worker may be at the same file: who comes second finds it kept. */
function alone<T>({ sha256 }: KnownFile, download: () => Promise<T>): Promise<T> {
  // Browsers have no locks where they keep nothing either.
  const locks = (navigator as { locks?: LockManager }).locks;
  return locks ? locks.request(`gradlens ${sha256}`, download) : download();
}

async function ask(address: string, headers: Record<string, string> = {}): Promise<Response> {
  try {
    return await fetch(address, { headers });
  } catch (cause) {
    throw new Error(`${fileName(address)}: the download failed. Is the server still there?`, {
      cause,
    });
  }
}

function refusal(address: string, { status }: Response): Error {
  return new Refused(`${fileName(address)}: the server answered ${status}`);
}

function startOf(response: Response): number {
  return Number(response.headers.get('content-range')?.match(/^bytes (\d+)-/)?.[1] ?? NaN);
}

/** By its hash; a page that came without encryption from elsewhere has no means to compute one. */
async function isWhole(bytes: Uint8Array<ArrayBuffer>, file: KnownFile): Promise<boolean> {
  const digest = sha256(bytes);
  return digest === null || (await digest) === file.sha256;
}

function fileName(address: string): string {
  return new URL(address).pathname.split('/').pop() ?? address;
}
