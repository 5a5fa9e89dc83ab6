/** What users of the package see. */
export { Classifier } from './classifier.ts';
export { Explanation } from './explanation.ts';
export type { Bytes, OpenOptions, Opener } from './open.ts';
export type { Look, HeatMap, Question } from './explanation.ts';
export type {
  Label,
  Layer,
  Manifest,
  ModelDescription,
  OpenedPicture,
  Region,
  Report,
  Score,
} from './types.ts';
