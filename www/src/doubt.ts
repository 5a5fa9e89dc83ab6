/** The JSON that the engine speaks when it is asked whether a map is to be believed. */
import type { Region, Score } from './types.ts';

/** What can be asked. */
export interface Check {
  id: string;
  name: string;
  about: string;
  limits: string;
}

export interface Curve {
  /** What is measured. */
  name: string;
  /** What it is measured against. */
  against: string;
  points: [number, number][];
}

export interface Finding {
  /** The one to quote first. */
  numbers: { name: string; value: number }[];
  curves?: Curve[];
  says: string;
  passes: number;
  maps: number;
}

/** What one check says: an entry of `gradlens.evidence/1`. */
export interface CheckEntry {
  check: string;
  name: string;
  about: string;
  found?: Finding;
  /** Why it found nothing. */
  nothing?: string;
  does_not_say: string;
}

/** A share of the map's positive values beside that of a uniform map, or why there is none. */
export type Share = { share: number; uniform: number } | { nothing: string };

export interface Whereabouts {
  border: Share;
  outside: Share;
}

/** What comes where something was. */
export type Fill = 'mean' | 'blur' | 'surroundings';

/** Boxes in the picture's pixels. */
export interface Hide {
  boxes: Region[];
  fill: Fill;
}

export interface Hidden {
  scores: Score[];
  /** Of the network's input, what is hidden. */
  share: number;
  milliseconds: number;
}
