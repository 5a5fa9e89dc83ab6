/** What a visit consists of: pictures, questions, what is shown, and the model that is asked. */
import type { Look, ModelSource, PictureFile, Pixels } from '../protocol.ts';
import type {
  Catalogue,
  ExplainOptions,
  Explanation,
  ModelDescription,
  OpenedPicture,
} from '../types.ts';

export type Phase = 'loading' | 'ready' | 'running' | 'done' | 'error';

export interface Picture {
  readonly key: number;
  readonly file: File;
  /** Null until the engine has scored it. */
  scored: { opened: OpenedPicture; thumb: ImageBitmap } | null;
  /** The class to explain; null for the one with the highest score. */
  class: number | null;
}

/** What is asked about every picture; null for the engine's own choice. */
export interface Question {
  contrast: number | null;
  layer: string | null;
  method: string | null;
  target: string | null;
}

export const NO_QUESTION: Question = { contrast: null, layer: null, method: null, target: null };

/** A picture with its map, as it is on the page now. */
export interface Shown {
  picture: Picture;
  opened: OpenedPicture;
  seen: Pixels;
  explanation: Explanation;
  overlay: Pixels;
  legend: Pixels;
  options: ExplainOptions;
  look: Look;
}

export interface LoadedModel {
  source: ModelSource;
  model: ModelDescription;
  catalogue: Catalogue;
  version: string;
  /** Whether the settings are the visitor's own of an earlier visit or of this one. */
  own: boolean;
}

/** The class with the highest score. */
export function highest(picture: Picture): number {
  const scores = picture.scored?.opened.scores ?? [];
  return scores.reduce((best, score) => (score.logit > best.logit ? score : best), {
    index: 0,
    logit: -Infinity,
  }).index;
}

/** The options that a question about a picture comes to. */
export function options(picture: Picture, { contrast, ...rest }: Question): ExplainOptions {
  return {
    class: picture.class,
    contrast: contrast === (picture.class ?? highest(picture)) ? null : contrast,
    ...rest,
  };
}

/** What the engine needs of a picture. */
export function bare({ key, file }: Picture): PictureFile {
  return { key, file };
}

export function nameOf(source: ModelSource): string {
  return source.kind === 'shipped' ? source.name : source.model.name;
}
