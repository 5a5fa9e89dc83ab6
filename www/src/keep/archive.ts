/** A zip of many files that grows as they come, so that no more than one of them is held twice. */
import { Zip, ZipDeflate, ZipPassThrough } from 'fflate';

/** Files that are small already. */
const SMALL = /\.png$/;

export class Archive {
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];
  readonly #zip: Zip;
  #failed: Error | null = null;

  constructor() {
    this.#zip = new Zip((error, part) => {
      if (error) this.#failed = error;
      else this.#parts.push(part as Uint8Array<ArrayBuffer>);
    });
  }

  add(name: string, bytes: Uint8Array): void {
    const file = SMALL.test(name) ? new ZipPassThrough(name) : new ZipDeflate(name, { level: 6 });
    this.#zip.add(file);
    file.push(bytes, true);
  }

  end(): Blob {
    this.#zip.end();
    if (this.#failed) throw this.#failed;
    return new Blob(this.#parts, { type: 'application/zip' });
  }
}
