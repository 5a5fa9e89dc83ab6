/** Messages between the page and its worker. Each request has an id, each answer names the request it answers. */
import type { CheckEntry, Hide, Hidden, Whereabouts } from './doubt.ts';
import type {
  Applied,
  Catalogue,
  ExplainOptions,
  Explanation,
  ModelDescription,
  OpenedPicture,
} from './types.ts';

/** A picture under a key that the page made up; the bytes are read by the worker when it needs them. */
export interface PictureFile {
  key: number;
  file: File;
  /** What its values are seen through; null for the file's own choice. */
  window: Applied | null;
}

/** Where a shipped model's files are. */
export interface ShippedModel {
  name: string;
  model: string;
  manifest: string;
}

export type ModelSource =
  | ({ kind: 'shipped' } & ShippedModel)
  | { kind: 'files'; model: File; manifest: File | null; labels: File | null; data: File[] };

export interface Look {
  colormap: string;
  opacity: number;
}

export interface Similarity {
  spearman: number | null;
  ssim: number | null;
}

export type Pixels = Uint8ClampedArray<ArrayBuffer>;

/** The first message to a worker. */
export interface Start {
  kind: 'start';
  /** Threads that the engine may have. */
  threads: number;
  /** The channel on which a thread says that it died. */
  trouble: string;
}

/** A file of a picture's answer. */
export type Keepsake =
  | { kind: 'overlay' | 'figure' | 'map' | 'report' }
  /** Where the map is at least this share of its largest value. */
  | { kind: 'annotations'; threshold: number }
  /** All of it in one file; plots are SVG elements by their check. */
  | { kind: 'page'; checks: CheckEntry[]; plots: [string, string][] };

/** What each kind of request carries and what it is answered with. */
export interface Exchange {
  load: {
    request: { source: ModelSource; companions: ShippedModel[] };
    answer: {
      model: ModelDescription;
      catalogue: Catalogue;
      version: string;
      /** Of each colour map, and of maps with both signs as `signed`, the colours of levels 0 to 255, RGBA. */
      tables: Record<string, Pixels>;
    };
  };
  /** Another manifest for the loaded model. */
  configure: {
    request: { manifest: string };
    answer: { model: ModelDescription };
  };
  labels: {
    request: { text: string };
    answer: { labels: { id: string; name: string }[] };
  };
  /** The gradient graph of the loaded model as an ONNX file. */
  graph: {
    request: { layer: string | null; input: boolean };
    answer: { bytes: Uint8Array<ArrayBuffer> };
  };
  /** The bytes of a report that a signature is over. */
  canonical: {
    request: { report: string };
    answer: { bytes: Uint8Array<ArrayBuffer> };
  };
  score: {
    request: { picture: PictureFile };
    answer: { opened: OpenedPicture; thumb: ImageBitmap };
  };
  view: {
    request: { picture: PictureFile; options: ExplainOptions };
    answer: {
      explanation: Explanation;
      /** The map as levels 0 to 255 over the region that the network saw. */
      levels: Uint8Array<ArrayBuffer>;
      /** Names the pixels that `pixels` gives now; the same as long as they are. */
      stamp: string;
    };
  };
  /** The open picture, and what the network saw of it at the size of its input. */
  pixels: {
    request: { picture: PictureFile };
    answer: { stamp: string; picture: ImageBitmap; seen: ImageBitmap };
  };
  /** How alike two raw maps of the same size are; null where that cannot be said. */
  similarity: {
    request: { a: Float32Array; b: Float32Array; width: number };
    answer: Similarity;
  };
  save: {
    request: {
      picture: PictureFile;
      options: ExplainOptions;
      look: Look;
      what: Keepsake;
    };
    answer: { bytes: Uint8Array<ArrayBuffer> };
  };
  /** Where the map lies; no pass is made. */
  where: {
    request: { picture: PictureFile; options: ExplainOptions };
    answer: { where: Whereabouts };
  };
  /** One check of the map, told of by its passes. */
  check: {
    request: { picture: PictureFile; options: ExplainOptions; check: string };
    answer: { entry: CheckEntry };
  };
  /** The scores with boxes of the picture hidden, and what the network then sees. */
  hide: {
    request: { picture: PictureFile; hide: Hide };
    answer: { hidden: Hidden; seen: Pixels };
  };
}

export type Kind = keyof Exchange;
export type RequestOf<K extends Kind> = Exchange[K]['request'];
export type AnswerOf<K extends Kind> = Exchange[K]['answer'];

export type Request = { [K in Kind]: { id: number; kind: K } & RequestOf<K> }[Kind];

/** Ends a request between two passes; it fails as stopped, and the engine stays. */
export interface Cancel {
  kind: 'cancel';
  id: number;
}

export interface Progress {
  kind: 'progress';
  /** The request whose work this is. */
  id: number;
  /** Bytes so far, and of how many where the server says; passes of a method that makes many, where `step` is that. */
  received: number;
  total: number | null;
  /** What is being done with the bytes, once they are here. */
  step: string | null;
}

export type Reply =
  | { kind: 'answer'; id: number; value: AnswerOf<Kind> }
  /** `broken`: the engine cannot be used any further and needs a new worker. `stopped`: it was told to. */
  | { kind: 'failure'; id: number; message: string; broken: boolean; stopped: boolean }
  | Progress;
