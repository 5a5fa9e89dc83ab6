/**
 * Large files, kept in this browser by the hash of their content and in pieces, so that a download that broke off goes on
 * where it stopped, even in another visit.
 */

/** What the build knows of a file. */
export interface KnownFile {
  sha256: string;
  bytes: number;
}

const PIECE = 1 << 20;
const PATH = 'kept/';

export class Store {
  readonly #cache: Cache;
  readonly #base: string;

  private constructor(cache: Cache, base: string) {
    this.#cache = cache;
    this.#base = base;
  }

  /** The store of the page under this address; null where the browser keeps nothing. */
  static async at(base: string): Promise<Store | null> {
    try {
      return new Store(await caches.open(`gradlens-models ${base}`), base);
    } catch {
      return null;
    }
  }

  /** Reads what there is of a file from its beginning into `target`; returns how many bytes that is. */
  async read(file: KnownFile, target: Uint8Array): Promise<number> {
    let have = 0;
    while (have < file.bytes) {
      const kept = await this.#cache.match(this.#address(file, have));
      const piece = kept && new Uint8Array(await kept.arrayBuffer());
      if (piece?.length !== Math.min(PIECE, file.bytes - have)) break;
      target.set(piece, have);
      have += piece.length;
    }
    return have;
  }

  /** Whether all of a file is there. */
  async has(file: KnownFile): Promise<boolean> {
    for (let at = 0; at < file.bytes; at += PIECE) {
      if (!(await this.#cache.match(this.#address(file, at)))) return false;
    }
    return true;
  }

  /** Keeps the pieces that became whole between two lengths of a download. A full disk is no reason to fail. */
  async keep(file: KnownFile, bytes: Uint8Array<ArrayBuffer>, from: number, to: number) {
    const end = to === file.bytes ? to : to - (to % PIECE);
    for (let at = from - (from % PIECE); at < end; at += PIECE) {
      const piece = bytes.slice(at, Math.min(at + PIECE, file.bytes));
      await this.#cache.put(this.#address(file, at), new Response(piece)).catch(() => {});
    }
  }

  async drop(file: KnownFile): Promise<void> {
    await this.#dropWhere((address) => address.includes(`/${file.sha256}/`));
  }

  /** Drops all but these files. */
  async keepOnly(files: KnownFile[]): Promise<void> {
    await this.#dropWhere(
      (address) => !files.some(({ sha256 }) => address.includes(`/${sha256}/`)),
    );
  }

  async #dropWhere(unwanted: (address: string) => boolean): Promise<void> {
    const kept = await this.#cache.keys();
    const gone = kept.filter(({ url }) => unwanted(url));
    await Promise.all(gone.map((request) => this.#cache.delete(request)));
  }

  #address({ sha256 }: KnownFile, at: number): string {
    return new URL(`${PATH}${sha256}/${at}`, this.#base).href;
  }
}
