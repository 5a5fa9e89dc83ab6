/** A line around what of a map reaches a threshold, drawn on the enlarged map as the colours are. */
import { contours } from 'd3-contour';
import { enlarge, type Placed, type RawMap } from './map.ts';

/** Enlarged once a map: a slider asks for many thresholds of one. */
const grids = new WeakMap<RawMap, RawMap>();

/** The line as an SVG path in the picture's pixels; empty where nothing, or nothing but the threshold, is reached. */
export function contour({ map, region }: Placed, share: number): string {
  const threshold = map.max * share;
  if (share <= 0 || map.max <= 0 || threshold <= map.min) return '';
  const grid = enlarged(map, region);
  const { coordinates } = contours()
    .size([grid.width, grid.height])
    .contour(grid.values, threshold);
  const across = region.width / grid.width;
  const down = region.height / grid.height;
  const point = ([x = 0, y = 0]: number[]): string =>
    `${(region.x + x * across).toFixed(1)} ${(region.y + y * down).toFixed(1)}`;
  return coordinates
    .flat()
    .map((ring) => `M${ring.map(point).join('L')}Z`)
    .join('');
}

function enlarged(map: RawMap, region: Placed['region']): RawMap {
  const grid = grids.get(map) ?? enlarge(map, region);
  grids.set(map, grid);
  return grid;
}
