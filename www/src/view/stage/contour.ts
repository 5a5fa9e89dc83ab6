/** A line around what of a map reaches a threshold, drawn on the enlarged map as the colours are. */
import { contours } from 'd3-contour';
import { enlarge, type Placed, type RawMap } from './map.ts';

/** Of a map: enlarged once, as a slider asks for many thresholds; and the last line, as several panels show it. */
interface Drawn {
  grid: RawMap;
  share: number;
  path: string;
}

const drawn = new WeakMap<RawMap, Drawn>();

/** The line as an SVG path in the picture's pixels; empty where nothing, or nothing but the threshold, is reached. */
export function contour({ map, region }: Placed, share: number): string {
  const threshold = map.max * share;
  if (share <= 0 || map.max <= 0 || threshold <= map.min) return '';
  const before = drawn.get(map);
  if (before?.share === share) return before.path;
  const grid = before?.grid ?? enlarge(map, region);
  const path = line(grid, region, threshold);
  drawn.set(map, { grid, share, path });
  return path;
}

function line(grid: RawMap, region: Placed['region'], threshold: number): string {
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
