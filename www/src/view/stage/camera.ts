/** Which part of the picture is in view: one camera for all panels. Points are shares of a panel's width and height. */

export interface Point {
  x: number;
  y: number;
}

/** A point `p` of the picture lies at `p * scale + offset` of the panel. */
export interface Camera extends Point {
  scale: number;
}

export const WHOLE: Camera = { scale: 1, x: 0, y: 0 };

const MOST = 24;

/** Larger or smaller by a factor, the point `at` of the panel staying where it is. */
export function zoomed(camera: Camera, factor: number, at: Point): Camera {
  const scale = Math.min(Math.max(camera.scale * factor, 1), MOST);
  const grown = scale / camera.scale;
  return kept({
    scale,
    x: at.x - (at.x - camera.x) * grown,
    y: at.y - (at.y - camera.y) * grown,
  });
}

export function moved(camera: Camera, by: Point): Camera {
  return kept({ ...camera, x: camera.x + by.x, y: camera.y + by.y });
}

/** The point of the picture, as shares of its size, at a point of the panel. */
export function under(camera: Camera, at: Point): Point {
  return { x: (at.x - camera.x) / camera.scale, y: (at.y - camera.y) / camera.scale };
}

/** Moves the camera so that a point of the picture is in view. */
export function reaching(camera: Camera, point: Point): Camera {
  const at = { x: point.x * camera.scale + camera.x, y: point.y * camera.scale + camera.y };
  const back = (share: number): number => Math.min(Math.max(share, 0.05), 0.95) - share;
  return moved(camera, { x: back(at.x), y: back(at.y) });
}

/** No empty margin beside the picture. */
function kept({ scale, x, y }: Camera): Camera {
  const within = (offset: number): number => Math.min(0, Math.max(1 - scale, offset));
  return { scale, x: within(x), y: within(y) };
}
