/** What a visit consists of: pictures, questions, what is shown, and the model that is asked. */
import type { AnswerOf, ModelSource, PictureFile, Pixels } from '../protocol.ts';
import type {
  Applied,
  Catalogue,
  ExplainOptions,
  Explanation,
  Method,
  ModelDescription,
  OpenedPicture,
} from '../types.ts';

export type Phase = 'loading' | 'ready' | 'running' | 'done' | 'error';

export interface Picture {
  readonly key: number;
  readonly file: File;
  /** Null until the engine has scored it. */
  scored: { opened: OpenedPicture; thumb: ImageBitmap } | null;
  /** What its values are seen through; null for the file's own choice. */
  window: Applied | null;
  /** Whether `scored` is of another window. */
  stale: boolean;
  /** The class to explain; null for the one with the highest score. */
  class: number | null;
}

/** What is asked about every picture; null for the engine's own choice. */
export interface Question {
  contrast: number | null;
  layer: string | null;
  method: string | null;
  target: string | null;
  /** Further layers, fused with the first. */
  layers: string[];
  smooth: string[];
  counterfactual: boolean;
}

export const NO_QUESTION: Question = {
  contrast: null,
  layer: null,
  method: null,
  target: null,
  layers: [],
  smooth: [],
  counterfactual: false,
};

/** The pixels of the shown picture, and what the network saw of it. */
export type Painted = AnswerOf<'pixels'>;

/** A picture with the map that answers a question about it. */
export interface Explained {
  picture: Picture;
  opened: OpenedPicture;
  explanation: Explanation;
  /** The map as levels 0 to 255 over the region that the network saw. */
  levels: Uint8Array<ArrayBuffer>;
  options: ExplainOptions;
}

/** The name of the colours of a map: those chosen, or the two of maps with both signs. */
export function colorsOf({ explanation }: Explained, colormap: string): string {
  return explanation.scale === 'signed' ? explanation.scale : colormap;
}

/** What is on the page now. */
export interface Shown extends Explained {
  painted: Painted;
}

/** How the page lays out what it shows. */
export type Layout = 'overlay' | 'side' | 'swipe';

/** What is drawn beside the colours. */
export interface Sight {
  layout: Layout;
  /** A line where the map has this share of its highest value; 0 for none. */
  contour: number;
  outline: boolean;
  peak: boolean;
}

export interface LoadedModel {
  source: ModelSource;
  model: ModelDescription;
  catalogue: Catalogue;
  version: string;
  tables: Record<string, Pixels>;
  /** Whether the settings are the visitor's own of an earlier visit or of this one. */
  own: boolean;
}

/** A model that the visitor opened. */
export type OwnModel = Extract<ModelSource, { kind: 'files' }>;

/** Models whose files are remembered for comparing; the oldest is forgotten. */
const MOST_MODELS = 8;

/** The models with one more, in the place of an earlier opening of the same file. */
export function withModel(models: OwnModel[], added: OwnModel): OwnModel[] {
  const same = ({ model: { name, size, lastModified } }: OwnModel): boolean =>
    name === added.model.name &&
    size === added.model.size &&
    lastModified === added.model.lastModified;
  return [added, ...models.filter((model) => !same(model))].slice(0, MOST_MODELS);
}

/** The class with the highest score. */
export function highest(picture: Picture): number {
  const scores = picture.scored?.opened.scores ?? [];
  return scores.reduce((best, score) => (score.logit > best.logit ? score : best), {
    index: 0,
    logit: -Infinity,
  }).index;
}

/** The options that a question about a class of a picture comes to; what the method has nothing for is left out. */
export function options(
  picture: Picture,
  { contrast, layers, smooth, counterfactual, ...rest }: Question & { class: number | null },
  loaded: LoadedModel,
): ExplainOptions {
  const method = methodOf(rest, loaded);
  const others = layers.filter((layer) => layer !== (rest.layer ?? loaded.model.layer));
  return {
    ...rest,
    contrast: contrast === (rest.class ?? highest(picture)) ? null : contrast,
    ...(method?.smooths && others.length > 0 && { layers: others }),
    ...(method?.smooths && smooth.length > 0 && { smooth }),
    ...(method?.counterfactual && counterfactual && { counterfactual }),
  };
}

/** The method that a question asks for. */
export function methodOf(
  { method }: { method: string | null },
  { model, catalogue }: LoadedModel,
): Method | undefined {
  return catalogue.methods.find(({ id }) => id === (method ?? model.method));
}

/** What the engine needs of a picture. */
export function bare({ key, file, window }: Picture): PictureFile {
  return { key, file, window };
}

export function nameOf(source: ModelSource): string {
  return source.kind === 'shipped' ? source.name : source.model.name;
}
