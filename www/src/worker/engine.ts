/** The WebAssembly engine: loaded once, holding one model and the one picture that is open in it. */
import type { CheckEntry, Hidden, Hide, Whereabouts } from '../doubt.ts';
import type { ExplainOptions, Explanation, ModelDescription, OpenedPicture } from '../types.ts';
import type { Catalogue } from '../types.ts';
import type {
  Keepsake,
  Look,
  ModelSource,
  PictureFile,
  Pixels,
  ShippedModel,
  Similarity,
  Start,
} from '../protocol.ts';
import type { Explainer } from '../wasm/gradlens.js';
import { canDigest, sha256 } from './digest.ts';
import type { Downloads } from './download.ts';
import { startWasm, type Glue } from './wasm.ts';

/** What is open in the explainer, so that nothing is computed twice. */
interface Open {
  key: number;
  /** What its values are seen through, as JSON. */
  window: string;
  opened: OpenedPicture;
  /** Names its pixels among all that any worker ever opened. */
  stamp: string;
  /** The map at hand and the options, as JSON, that it was made with. */
  map: { options: string; explanation: Explanation } | null;
}

/** A segmenter's files. */
interface Companion {
  model: Uint8Array<ArrayBuffer>;
  manifest: string;
  sha256: string | null;
}

/** Side of a small picture for the tray, in pixels; it is shown at half of that. */
const THUMB = 104;

const ONE_THREAD: Start = { kind: 'start', threads: 1, trouble: '' };

export class Engine {
  /** How it is to be started. */
  start: Start | null = null;
  #started: Promise<Glue> | null = null;
  #glue: Glue | null = null;
  #explainer: Explainer | null = null;
  #open: Open | null = null;
  #stamps = 0;
  #input = { width: 1, height: 1 };
  #source: ModelSource | null = null;
  #downloads: Downloads | null = null;
  /** Segmenters that a model may ask for, and those of them that are here. */
  #companions: ShippedModel[] = [];
  readonly #fetched = new Map<string, Promise<Companion>>();

  /** Loads a model; the one before it stays in place if this one is refused. */
  async load(
    source: ModelSource,
    companions: ShippedModel[],
    downloads: Downloads,
    say: (step: string) => void,
  ): Promise<{
    model: ModelDescription;
    catalogue: Catalogue;
    version: string;
    tables: Record<string, Pixels>;
  }> {
    this.#downloads = downloads;
    this.#companions = companions;
    this.#started ??= startWasm(this.start ?? ONE_THREAD, downloads);
    const [glue, bytes, manifest] = await Promise.all([
      this.#started.catch((error: unknown) => {
        this.#started = null;
        throw error;
      }),
      source.kind === 'shipped' ? downloads.bytes(source.model) : read(source.model),
      source.kind === 'shipped'
        ? downloads.bytes(source.manifest).then(text)
        : source.manifest && read(source.manifest).then(text),
    ]);
    this.#glue = glue;
    let model = await this.#replace(source, bytes, manifest ?? undefined, say);
    if (source.kind === 'files' && source.labels) {
      const labels = this.labels(text(await read(source.labels)));
      const { model: labelled } = await this.configure(
        JSON.stringify({ ...model.manifest, labels }),
      );
      model = labelled;
    }
    const offered = JSON.parse(glue.catalogue()) as Catalogue;
    const explainer = this.#loaded();
    const tables = offered.colormaps.map((name) => [name, pixels(explainer.legend(name))]);
    tables.push(['signed', pixels(glue.signed_legend())]);
    return {
      model,
      catalogue: offered,
      version: glue.version(),
      tables: Object.fromEntries(tables) as Record<string, Pixels>,
    };
  }

  /** Takes another manifest; the model is read again only where it changes the graph. */
  async configure(manifest: string): Promise<{ model: ModelDescription }> {
    const source = this.#source;
    this.#open = null;
    if (this.#loaded().configure(manifest) || source?.kind !== 'files') {
      await this.#accompany(this.#loaded());
      return { model: this.#describe() };
    }
    const bytes = await read(source.model);
    return { model: await this.#replace(source, bytes, manifest, () => {}) };
  }

  labels(text: string): { id: string; name: string }[] {
    return JSON.parse(this.#module().read_labels(text)) as { id: string; name: string }[];
  }

  canonical(report: string): Uint8Array<ArrayBuffer> {
    return owned(this.#module().canonical_report(report));
  }

  /** The gradient graph at a layer, or the default one, and with `input` at the pixels: an ONNX file. */
  graph(layer: string | null, input: boolean): Uint8Array<ArrayBuffer> {
    return owned(this.#loaded().gradient_graph(layer ?? undefined, input));
  }

  async #replace(
    source: ModelSource,
    bytes: Uint8Array<ArrayBuffer>,
    manifest: string | undefined,
    say: (step: string) => void,
  ): Promise<ModelDescription> {
    const name = source.kind === 'shipped' ? source.name : source.model.name;
    const data = source.kind === 'shipped' ? [] : source.data;
    const known = source.kind === 'shipped' && this.#downloads?.digest(source.model);
    const digest = known ? Promise.resolve(known) : sha256(bytes);
    const { Explainer } = this.#module();
    const next = new Explainer(bytes, manifest, name, reader(data), say, digest !== null);
    try {
      if (digest) next.identify(await digest);
      await this.#accompany(next);
    } catch (error) {
      next.free();
      throw error;
    }
    this.#explainer?.free();
    this.#explainer = next;
    this.#source = source;
    this.#open = null;
    return this.#describe();
  }

  /** Gives a model the segmenter that its manifest asks for. */
  async #accompany(explainer: Explainer): Promise<void> {
    const { manifest } = describe(explainer);
    const name = manifest.companion?.model;
    if (!name) return;
    const shipped = this.#companions.find((companion) => companion.name === name);
    if (!shipped || !this.#downloads) {
      throw new Error(`its companion '${name}' is not one of this page's models`);
    }
    const downloads = this.#downloads;
    const files =
      this.#fetched.get(name) ??
      Promise.all([downloads.bytes(shipped.model), downloads.bytes(shipped.manifest)]).then(
        async ([model, manifest]) => ({
          model,
          manifest: text(manifest),
          sha256: downloads.digest(shipped.model) ?? (await sha256(model)),
        }),
      );
    this.#fetched.set(name, files);
    try {
      const { model, manifest, sha256 } = await files;
      explainer.accompany(model, manifest, sha256);
    } catch (error) {
      this.#fetched.delete(name);
      throw error;
    }
  }

  #describe(): ModelDescription {
    const model = describe(this.#loaded());
    this.#input = model.input;
    return model;
  }

  /** Opens the picture and scores it, unless it is open. */
  async open(picture: PictureFile): Promise<OpenedPicture> {
    const window = JSON.stringify(picture.window);
    if (this.#open?.key === picture.key && this.#open.window === window) return this.#open.opened;
    const bytes = await read(picture.file);
    this.#open = null;
    // The first report will want it; it is computed while this thread runs the network.
    const digested = this.digest({});
    let opened: OpenedPicture;
    try {
      const text = this.#loaded().open(picture.file.name, bytes, `{"window":${window}}`);
      opened = JSON.parse(text) as OpenedPicture;
    } finally {
      // Whatever comes next may change the model, and with it the checksum.
      await digested;
    }
    const stamp = `${performance.timeOrigin}/${++this.#stamps}`;
    this.#open = { key: picture.key, window, opened, stamp, map: null };
    return opened;
  }

  /** Hands the checksum of the gradient graph that these options need to the engine, unless it has it. */
  async digest(options: Partial<ExplainOptions>): Promise<void> {
    const explainer = this.#loaded();
    const wanted = JSON.stringify(options);
    const graph = canDigest ? explainer.undigested(wanted) : undefined;
    const digest = graph && sha256(owned(graph));
    if (digest) explainer.digested(wanted, await digest);
  }

  /** The map of the open picture; undefined where that takes longer than `patience` milliseconds, and the same call goes on with it. */
  explain(
    wanted: ExplainOptions,
    tell: (done: number, of: number) => void,
    patience: number,
  ): Explanation | undefined {
    if (!this.#open) throw new Error('no picture is open');
    const options = JSON.stringify(wanted);
    if (this.#open.map?.options === options) return this.#open.map.explanation;
    this.#open.map = null;
    const text = this.#loaded().explain_for(options, tell, patience);
    if (text === undefined) return undefined;
    const explanation = JSON.parse(text) as Explanation;
    this.#open.map = { options, explanation };
    return explanation;
  }

  /** What a check says of the map that was made last; undefined as with {@link explain}. */
  check(
    id: string,
    tell: (done: number, of: number) => void,
    patience: number,
  ): CheckEntry | undefined {
    const text = this.#loaded().check_for(id, tell, patience);
    return text === undefined ? undefined : (JSON.parse(text) as CheckEntry);
  }

  /** Where the map lies that was made last. */
  where(): Whereabouts {
    return JSON.parse(this.#loaded().whereabouts()) as Whereabouts;
  }

  hide(what: Hide): { hidden: Hidden; seen: Pixels } {
    const text = JSON.stringify(what);
    const hidden = JSON.parse(this.#loaded().hide(text)) as Hidden;
    return { hidden, seen: pixels(this.#loaded().hidden_seen(text)) };
  }

  levels(): Uint8Array<ArrayBuffer> {
    return owned(this.#loaded().levels());
  }

  stamp(): string {
    return this.#open?.stamp ?? '';
  }

  picture(): Promise<ImageBitmap> {
    if (!this.#open) throw new Error('no picture is open');
    const { width, height } = this.#open.opened;
    return createImageBitmap(new ImageData(pixels(this.#loaded().picture()), width, height));
  }

  /** What the network saw, at the size of its input, or made small. */
  seen(options: ImageBitmapOptions = {}): Promise<ImageBitmap> {
    const { width, height } = this.#input;
    const seen = new ImageData(pixels(this.#loaded().seen()), width, height);
    return createImageBitmap(seen, options);
  }

  /** All that the page keeps of a picture that it does not show. */
  thumb(): Promise<ImageBitmap> {
    const { width, height } = this.#input;
    const share = THUMB / Math.max(width, height);
    return this.seen({
      resizeWidth: Math.max(1, Math.round(width * share)),
      resizeHeight: Math.max(1, Math.round(height * share)),
      resizeQuality: 'medium',
    });
  }

  similarity(a: Float32Array, b: Float32Array, width: number): Similarity {
    return JSON.parse(this.#module().similarity(a, b, width)) as Similarity;
  }

  /** A file of the answer that was made last. */
  file(what: Keepsake, { colormap, opacity }: Look): Uint8Array<ArrayBuffer> {
    const explainer = this.#loaded();
    switch (what.kind) {
      case 'overlay':
        return owned(explainer.overlay_png(colormap, opacity));
      case 'figure':
        return owned(explainer.figure_png(colormap, opacity));
      case 'map':
        return owned(explainer.map_npy());
      case 'report':
        return encoded(`${JSON.stringify(this.#open?.map?.explanation.report)}\n`);
      case 'annotations':
        return encoded(`${explainer.annotations(what.threshold)}\n`);
      case 'page': {
        const [checks, plots] = [JSON.stringify(what.checks), JSON.stringify(what.plots)];
        return encoded(explainer.report_html(colormap, opacity, checks, plots));
      }
    }
  }

  #module(): Glue {
    if (!this.#glue) throw new Error('the engine has not been started');
    return this.#glue;
  }

  #loaded(): Explainer {
    if (!this.#explainer) throw new Error('no model is loaded');
    return this.#explainer;
  }
}

function describe(explainer: Explainer): ModelDescription {
  return JSON.parse(explainer.describe()) as ModelDescription;
}

/** Reads parts of the files that were chosen with a model, by their names without folders. */
function reader(files: File[]): (name: string, offset: number, length: number) => Uint8Array {
  return (name, offset, length) => {
    const file = files.find((file) => file.name === name.split('/').pop());
    if (!file) throw new Error('is missing: choose it together with the model');
    if (offset + length > file.size) throw new Error(`is too short (${file.size} bytes)`);
    return new Uint8Array(
      new FileReaderSync().readAsArrayBuffer(file.slice(offset, offset + length)),
    );
  };
}

async function read(file: File): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (cause) {
    throw new Error(`${file.name}: the file cannot be read any more. Was it moved or changed?`, {
      cause,
    });
  }
}

/** The engine hands out copies, so their buffers can be given away to the page. */
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength
    ? (bytes as Uint8Array<ArrayBuffer>)
    : new Uint8Array(bytes);
}

function pixels(bytes: Uint8Array): Pixels {
  const { buffer, byteOffset, byteLength } = owned(bytes);
  return new Uint8ClampedArray(buffer, byteOffset, byteLength);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function encoded(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
