/** The JSON that the engine speaks: what it says about itself, a model, a picture and a heat map. */
import type { Check, Fill } from './doubt.ts';

export interface Method {
  id: string;
  name: string;
  about: string;
  /** What it takes the gradient of unless told otherwise. */
  target: string;
  /** What it looks at: a layer's gradients, the pixels', or the scores alone. */
  kind: 'layer' | 'pixels' | 'scores';
  /** Whether it makes many passes, and so takes its time. */
  passes: boolean;
  /** Whether its map may be smoothed, and fused over layers. */
  smooths?: boolean;
  /** Whether it tells what speaks against a class. */
  counterfactual?: boolean;
}

export interface Catalogue {
  methods: Method[];
  checks: Check[];
  fills: Fill[];
  colormaps: string[];
  targets: string[];
  /** Ways to smooth a map. */
  smooth?: string[];
  notice: string;
}

export interface Label {
  index: number;
  id: string;
  name: string;
}

export interface Layer {
  name: string;
  channels: number;
  height: number;
  width: number;
  recommended: boolean;
  reason: string;
}

/** `gradlens.model/1`. */
export interface Manifest {
  schema: string;
  id: string;
  name: string;
  labels: { id: string; name: string }[];
  input: { name: string; width: number; height: number; channels: string };
  preprocessing: {
    grey: boolean;
    crop: string;
    resize: string;
    stretch?: { low: number; high: number };
    mean: number[];
    std: number[];
  };
  scores?: string;
  probabilities?: string;
  squash?: string;
  layer?: string;
  /** The segmenter that looks at a picture first; a shipped model's name. */
  companion?: { model: string; crop_margin: number; gate: boolean };
  notice: string;
  sources: string;
  [more: string]: unknown;
}

export interface ModelDescription {
  id: string;
  name: string;
  sha256: string;
  notice: string;
  /** What it was trained on, in a sentence; empty where that is not known. */
  sources: string;
  labels: Label[];
  layers: Layer[];
  input: { name: string; width: number; height: number; channels: string };
  manifest: Manifest;
  /** What the guess rests on, a sentence each. */
  reasons: string[];
  /** Whether the manifest may choose the input's size. */
  open_size: boolean;
  scores: string;
  /** What the scores could be read from. */
  score_tensors: { name: string; classes: number }[];
  squash: string;
  /** The function that the model itself ends in. */
  own_squash: string | null;
  /** True where no manifest came with the model, so that its preprocessing is only a guess. */
  guessed: boolean;
  method: string;
  layer: string;
}

export interface Score {
  index: number;
  label: string;
  name: string;
  logit: number;
  probability: number | null;
}

/** In pixels of the picture, y down. */
export interface Region {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What made the greys of a picture out of its values: a window over them, or a table of the file. */
export type Applied = { center: number; width: number; function: string } | { table: number };

/** The values of a picture that can be seen through a window. */
export interface Levels {
  low: number;
  high: number;
  units: string | null;
  presets: { name: string; applied: Applied }[];
  /** Null where the values are greys as they are. */
  applied: Applied | null;
  /** The function of windows that are chosen by hand. */
  function: string;
}

export interface OpenedPicture {
  name: string;
  sha256: string;
  width: number;
  height: number;
  /** The part of the picture that the network sees. */
  region: Region;
  /** Null where there is no window to choose: 8 bits, or colours. */
  levels: Levels | null;
  /** What of the file is not shown, where it holds more: "the first of 20 frames". */
  note: string | null;
  /** What the segmenter that looked at it first says of it. */
  companion: {
    id: string;
    sha256: string;
    lungs_found: boolean;
    /** Whether it is an upright frontal chest X-ray, where the model asks that. */
    gate?: { logit: number; threshold: number; passed: boolean };
  } | null;
  /** What must be said before any score: that the picture is not what the model was made for. */
  warning: string | null;
  scores: Score[];
  /** Decoding, preparing and scoring. */
  milliseconds: { forward: number };
}

export interface ExplainOptions {
  class: number | null;
  contrast: number | null;
  layer: string | null;
  method: string | null;
  target: string | null;
  /** Further layers whose maps are fused with that of `layer`. */
  layers?: string[];
  smooth?: string[];
  /** What speaks against the class, in place of what speaks for it. */
  counterfactual?: boolean;
}

/** `gradlens.report/1`; what the page does not read itself stays as the engine wrote it. */
export interface Report {
  schema: string;
  picture: {
    name: string;
    sha256: string;
    width: number;
    height: number;
    window?: Applied;
    note?: string;
  };
  model: { id: string; sha256: string; gradient_sha256: string };
  scores: Omit<Score, 'name'>[];
  explained: { index: number; label: string; contrast: string | null; target: string };
  method: string;
  layer: string;
  map: { width: number; height: number; min: number; max: number; values: number[] };
  engine: { name: string; version: string; device: string; threads: number; simd: string };
  notice: string;
  [more: string]: unknown;
}

export interface Explanation {
  report: Report;
  /** A sentence on why the map is blank, where it is. */
  empty: string | null;
  peak: { x: number; y: number; words: string } | null;
  /** The part of the map that reaches half of its highest value. */
  half_share: number | null;
  /** Whose colours it has: those that are chosen, or the two of maps with both signs. */
  scale: 'range' | 'signed';
  /** The raw values at both ends of the legend; as far from zero on either side where the map has both signs. */
  ends: [number, number];
  milliseconds: { backward: number };
}
