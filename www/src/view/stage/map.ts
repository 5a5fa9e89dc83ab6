/** Reading a raw map as it is drawn: enlarged to the region that the network saw, bilinear, cells' centres at halves. */
import type { Region, Report } from '../../types.ts';

export type RawMap = Report['map'];

/** A raw map and the part of the picture that it lies on. */
export interface Placed {
  map: RawMap;
  region: Region;
}

/** Of a pixel of the picture: the map's value as it is drawn there, and the cell it lies in. */
export interface Reading {
  value: number;
  cell: { column: number; row: number; value: number };
}

/** The longer side of the grid that lines and comparisons are made on, in cells; a finer map keeps its own. */
const GRID = 256;

/** What the map says at a pixel of the picture; null outside of what the network saw. */
export function read({ map, region }: Placed, x: number, y: number): Reading | null {
  const inside = { x: Math.floor(x) - region.x, y: Math.floor(y) - region.y };
  const { width, height } = region;
  if (inside.x < 0 || inside.y < 0 || inside.x >= width || inside.y >= height) return null;
  const across = (inside.x + 0.5) / width;
  const down = (inside.y + 0.5) / height;
  const column = Math.floor(across * map.width);
  const row = Math.floor(down * map.height);
  return {
    value: between(map, across, down),
    cell: { column, row, value: cell(map, column, row) },
  };
}

/** The map enlarged to a grid over its region. */
export function enlarge(map: RawMap, { width, height }: Region): RawMap {
  const share = Math.min(1, GRID / Math.max(width, height));
  return resize(
    map,
    Math.max(map.width, Math.round(width * share)),
    Math.max(map.height, Math.round(height * share)),
  );
}

/** Two maps, cell for cell comparable: as they are where they lie alike, else over the part of the picture that both saw; null where there is none. */
export function onOneGrid(
  a: Placed,
  b: Placed,
): { a: Float32Array; b: Float32Array; width: number } | null {
  const same = JSON.stringify(a.region) === JSON.stringify(b.region);
  if (same && a.map.width === b.map.width && a.map.height === b.map.height) {
    return {
      a: new Float32Array(a.map.values),
      b: new Float32Array(b.map.values),
      width: a.map.width,
    };
  }
  const common = overlap(a.region, b.region);
  if (!common) return null;
  const width = Math.max(a.map.width, b.map.width);
  const height = Math.max(a.map.height, b.map.height);
  const cut = ({ map, region }: Placed): Float32Array =>
    Float32Array.from({ length: width * height }, (_, at) => {
      const x = common.x + (((at % width) + 0.5) / width) * common.width;
      const y = common.y + ((Math.floor(at / width) + 0.5) / height) * common.height;
      return between(map, (x - region.x) / region.width, (y - region.y) / region.height);
    });
  return { a: cut(a), b: cut(b), width };
}

function overlap(a: Region, b: Region): Region | null {
  const x = Math.max(a.x, b.x);
  const y = Math.max(a.y, b.y);
  const width = Math.min(a.x + a.width, b.x + b.width) - x;
  const height = Math.min(a.y + a.height, b.y + b.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}

function resize(map: RawMap, width: number, height: number): RawMap {
  const values = Array.from({ length: width * height }, (_, at) =>
    between(map, ((at % width) + 0.5) / width, (Math.floor(at / width) + 0.5) / height),
  );
  return { ...map, width, height, values };
}

/** The map at shares of its width and height. */
function between(map: RawMap, across: number, down: number): number {
  const [left, right, x] = tap(across, map.width);
  const [upper, lower, y] = tap(down, map.height);
  const mix = (a: number, b: number, weight: number): number => a + (b - a) * weight;
  const line = (row: number): number => mix(cell(map, left, row), cell(map, right, row), x);
  return mix(line(upper), line(lower), y);
}

/** Two neighbouring cells, and the second one's weight. */
function tap(share: number, length: number): [number, number, number] {
  const at = Math.min(Math.max(share * length - 0.5, 0), length - 1);
  const first = Math.min(Math.floor(at), Math.max(length - 2, 0));
  return [first, Math.min(first + 1, length - 1), at - first];
}

function cell({ values, width }: RawMap, column: number, row: number): number {
  return values[row * width + column] ?? NaN;
}
