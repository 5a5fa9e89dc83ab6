/** What a classifier said of a picture, and why: scores, the raw map, the report, and pictures of it. */
import type { Explainer } from './glue.ts';
import type { Explanation as Answer, OpenedPicture, Report, Score } from './types.ts';

/** What is asked; the engine's own choice where nothing is said. */
export interface Question {
  /** Index or label; by default the class with the highest score. */
  class?: number | string;
  /** Explains the class's score minus this one's. */
  contrast?: number | string;
  /** A name out of `classifier.description.layers`. */
  layer?: string;
  /** `grad-cam` (the default), `hires-cam`, `layer-cam`, `integrated-gradients`, ... */
  method?: string;
  /** What the gradient is taken of. */
  target?: 'logit' | 'probability';
  /** The picture's name in the report; by default the file's. */
  name?: string;
}

/** How a map is drawn. */
export interface Look {
  /** `inferno` (the default), `viridis`, `magma`, `turbo`, `jet`, `hot`, ... */
  colormap?: string;
  /** Of the colours over the picture, 0 to 1; 0.5 by default. */
  opacity?: number;
}

/** A map as it was computed: row-major, not normalised. */
export interface HeatMap {
  values: Float32Array;
  width: number;
  height: number;
  min: number;
  max: number;
}

/** @internal Draws with the engine at this explanation. */
export type Drawn = <T>(draw: (engine: Explainer) => T) => T;

export class Explanation {
  readonly scores: Score[];
  readonly map: HeatMap;
  /** `gradlens.report/1`, which `gradlens verify` makes again and compares. */
  readonly report: Report;
  /** The picture: its size, the part of it that the network saw, and a warning where it is not what the model was made for. */
  readonly picture: OpenedPicture;
  /** Where the map is highest, in the picture's pixels and in words; null where it is flat. */
  readonly peak: Answer['peak'];
  /** A sentence on why the map is blank, where it is. */
  readonly empty: string | null;
  readonly #drawn: Drawn;

  /** @internal */
  constructor(picture: OpenedPicture, answer: Answer, drawn: Drawn) {
    this.picture = picture;
    this.scores = picture.scores;
    this.report = answer.report;
    const { values, ...size } = answer.report.map;
    this.map = { ...size, values: Float32Array.from(values) };
    this.peak = answer.peak;
    this.empty = answer.empty;
    this.#drawn = drawn;
  }

  /** The picture with the map over it: RGBA at the picture's size, as `new ImageData` takes it. */
  overlay(look: Look = {}): {
    data: Uint8ClampedArray<ArrayBuffer>;
    width: number;
    height: number;
  } {
    const { colormap, opacity } = complete(look);
    const { width, height } = this.picture;
    const pixels = this.#drawn((engine) => engine.overlay(colormap, opacity));
    return { data: new Uint8ClampedArray(pixels), width, height };
  }

  /** The overlay as a PNG file, with the notice in its pixels. */
  overlayPng(look: Look = {}): Uint8Array<ArrayBuffer> {
    const { colormap, opacity } = complete(look);
    return new Uint8Array(this.#drawn((engine) => engine.overlay_png(colormap, opacity)));
  }

  /** Picture, map and overlay side by side as a PNG file, with the notice in its pixels. */
  figurePng(look: Look = {}): Uint8Array<ArrayBuffer> {
    const { colormap, opacity } = complete(look);
    return new Uint8Array(this.#drawn((engine) => engine.figure_png(colormap, opacity)));
  }

  /** The raw map as a NumPy file. */
  mapNpy(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#drawn((engine) => engine.map_npy()));
  }
}

function complete({ colormap = 'inferno', opacity = 0.5 }: Look): Required<Look> {
  return { colormap, opacity };
}
