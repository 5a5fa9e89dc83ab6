/** Opening a model: its bytes from wherever they are, its manifest and companion, and the engine, which is started once. */
import { Classifier } from './classifier.ts';
import init, { Explainer } from './glue.ts';
import { naming } from './naming.ts';
import type { Manifest, ModelDescription } from './types.ts';

/** Bytes, or where they are: a `File` or `Blob`, an address; in Node a string is a path. */
export type Bytes = Uint8Array | ArrayBuffer | Blob | URL | string;

export interface OpenOptions {
  /** How to see: labels, preprocessing, layer (`gradlens.model/1`), parsed or as bytes; without it, they are guessed from the graph. */
  manifest?: Partial<Manifest> | Bytes;
  /** The segmenter that the manifest asks for; `false` for doing without it. */
  companion?: { model: Bytes; manifest: Partial<Manifest> | Bytes } | false;
  /** The model's name in reports where no manifest gives one; by default the file's. */
  name?: string;
  /** The engine's WebAssembly, where it does not lie beside this module; the first call decides. */
  wasm?: Response | Promise<Response> | BufferSource | WebAssembly.Module;
  /** Called with each step in a few words. */
  say?: (step: string) => void;
}

/**
 * Opens an ONNX classifier and prepares it for its default layer. It computes on the thread that calls it: on a page, call it in
 * a worker if it must stay smooth.
 *
 * @throws Error with one line: what is wrong with the model, its manifest or its companion.
 */
export type Opener = (model: Bytes, options?: OpenOptions) => Promise<Classifier>;

/** What differs between browsers and Node. */
export interface Surroundings {
  wasm(): Promise<Response | BufferSource>;
  read(address: URL | string): Promise<Uint8Array>;
}

export function opener(surroundings: Surroundings): Opener {
  let started: Promise<unknown> | null = null;

  const bytes = async (source: Bytes): Promise<Uint8Array> => {
    if (source instanceof Uint8Array) return source;
    if (source instanceof ArrayBuffer) return new Uint8Array(source);
    if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
    return surroundings.read(source);
  };

  const json = async (source: Partial<Manifest> | Bytes): Promise<string> =>
    isBytes(source) ? new TextDecoder().decode(await bytes(source)) : JSON.stringify(source);

  return async (model, options = {}) => {
    started ??= (async () =>
      init({ module_or_path: (await options.wasm) ?? (await surroundings.wasm()) }))();
    const [file, manifest] = await Promise.all([
      bytes(model),
      options.manifest === undefined ? undefined : json(options.manifest),
      started.catch((error: unknown) => {
        started = null;
        throw error;
      }),
    ]);
    const name = options.name ?? nameOf(model);
    const explainer = naming(name, () => new Explainer(file, manifest, name, null, options.say));
    try {
      const { companion } = options;
      const asked = (JSON.parse(explainer.describe()) as ModelDescription).manifest.companion;
      if (companion) {
        const [model, manifest] = [await bytes(companion.model), await json(companion.manifest)];
        naming(nameOf(companion.model), () => explainer.accompany(model, manifest));
      } else if (asked && companion !== false) {
        throw new Error(
          `${name}: its manifest asks for the companion '${asked.model}': give it in the options, or \`companion: false\``,
        );
      }
      return new Classifier(explainer, bytes);
    } catch (error) {
      explainer.free();
      throw error;
    }
  };
}

function isBytes(source: Partial<Manifest> | Bytes): source is Bytes {
  return (
    typeof source === 'string' ||
    source instanceof Uint8Array ||
    source instanceof ArrayBuffer ||
    source instanceof Blob ||
    source instanceof URL
  );
}

/** A file's name, out of what is given in its place. */
export function nameOf(source: Bytes): string {
  if (typeof File !== 'undefined' && source instanceof File) return source.name;
  if (typeof source === 'string' || source instanceof URL) {
    return String(source).split(/[?#]/)[0]?.split(/[\\/]/).pop() ?? '';
  }
  return '';
}
