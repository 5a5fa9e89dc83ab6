/** Downloads with progress, from the page's own origin. */

/** Sums the downloads that run side by side; the total is unknown as soon as one of them is. */
export class Downloads {
  #received = 0;
  #total: number | null = 0;
  readonly #report: (received: number, total: number | null) => void;

  constructor(report: (received: number, total: number | null) => void) {
    this.#report = report;
  }

  /** The response, once its headers are there, its body counted as it is read. */
  async fetch(address: string): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(address);
    } catch (cause) {
      throw new Error(`${fileName(address)}: the download failed. Is the server still there?`, {
        cause,
      });
    }
    if (!response.ok) {
      throw new Error(`${fileName(address)}: the server answered ${response.status}`);
    }
    const length = Number(response.headers.get('content-length'));
    // A compressed body's length is not the length of what is read from it.
    const known = length > 0 && !response.headers.has('content-encoding');
    this.#total = known && this.#total !== null ? this.#total + length : null;
    if (!response.body) return response;
    const counter = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (chunk, controller) => {
        this.#received += chunk.byteLength;
        this.#report(this.#received, this.#total);
        controller.enqueue(chunk);
      },
    });
    return new Response(response.body.pipeThrough(counter), { headers: response.headers });
  }

  async bytes(address: string): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.fetch(address);
    try {
      return new Uint8Array(await response.arrayBuffer());
    } catch (cause) {
      throw new Error(`${fileName(address)}: the download broke off`, { cause });
    }
  }
}

function fileName(address: string): string {
  return new URL(address).pathname.split('/').pop() ?? address;
}
