/** Boxes in the pixels of a picture. */
import type { Region } from '../types.ts';

export interface Point {
  x: number;
  y: number;
}

/** The box between two corners, in whole pixels that it touches. */
export function boxBetween(a: Point, b: Point): Region {
  const x = Math.floor(Math.min(a.x, b.x));
  const y = Math.floor(Math.min(a.y, b.y));
  return {
    x,
    y,
    width: Math.ceil(Math.max(a.x, b.x)) - x,
    height: Math.ceil(Math.max(a.y, b.y)) - y,
  };
}

/** What of a box lies in the picture; null for nothing. */
export function within(box: Region, width: number, height: number): Region | null {
  const left = Math.max(0, box.x);
  const top = Math.max(0, box.y);
  const right = Math.min(width, box.x + box.width);
  const bottom = Math.min(height, box.y + box.height);
  if (right <= left || bottom <= top) return null;
  return { x: left, y: top, width: right - left, height: bottom - top };
}
