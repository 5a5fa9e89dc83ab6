/** Pixels of the page's own drawing: the coloured map, and the picture with it added. The engine draws what is kept; this draws what is seen, at once. */
import type { Pixels } from '../../protocol.ts';
import type { Explained } from '../../session/visit.ts';

/** A coloured map over its region, made again only where its levels or colours change. */
export class Heat {
  readonly #canvas = document.createElement('canvas');
  #of: Explained | null = null;
  #table: Pixels | null = null;

  /** The canvas of the region's size. */
  colored(explained: Explained, table: Pixels): HTMLCanvasElement {
    if (this.#of === explained && this.#table === table) return this.#canvas;
    this.#of = explained;
    this.#table = table;
    const { width, height } = explained.opened.region;
    sized(this.#canvas, width, height);
    // Four bytes at a time, as they lie in the table.
    const colors = new Uint32Array(table.slice().buffer);
    const image = new ImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    const { levels } = explained;
    for (let at = 0; at < out.length; at += 1) out[at] = colors[levels[at] ?? 0] ?? 0;
    this.#canvas.getContext('2d')?.putImageData(image, 0, 0);
    return this.#canvas;
  }

  /** Lets go of the pixels. */
  clear(): void {
    this.#of = null;
    sized(this.#canvas, 1, 1);
  }
}

/** The picture, and on it `opacity` times the map's colours: what the engine's overlay is, to one level of 255. */
export function drawOverlay(
  canvas: HTMLCanvasElement,
  picture: ImageBitmap,
  heat: HTMLCanvasElement,
  explained: Explained,
  opacity: number,
): void {
  const context = drawPicture(canvas, picture);
  if (!context || opacity === 0) return;
  const { x, y } = explained.opened.region;
  context.globalCompositeOperation = 'lighter';
  context.globalAlpha = opacity;
  context.drawImage(heat, x, y);
}

/** The map's colours alone, on black. */
export function drawHeat(
  canvas: HTMLCanvasElement,
  heat: HTMLCanvasElement,
  { opened }: Explained,
): void {
  const context = fresh(canvas, opened.width, opened.height);
  if (!context) return;
  context.fillStyle = '#000';
  context.fillRect(0, 0, opened.width, opened.height);
  context.drawImage(heat, opened.region.x, opened.region.y);
}

/** The picture alone. */
export function drawPicture(
  canvas: HTMLCanvasElement,
  picture: ImageBitmap,
): CanvasRenderingContext2D | null {
  const context = fresh(canvas, picture.width, picture.height);
  context?.drawImage(picture, 0, 0);
  return context;
}

/** Lets go of a canvas's pixels. */
export function drawNothing(canvas: HTMLCanvasElement): void {
  sized(canvas, 1, 1);
}

function fresh(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | null {
  sized(canvas, width, height);
  const context = canvas.getContext('2d');
  if (!context) return null;
  context.globalCompositeOperation = 'source-over';
  context.globalAlpha = 1;
  return context;
}

/** Of exactly this size; setting a size that is there already would clear it in vain. */
function sized(canvas: HTMLCanvasElement, width: number, height: number): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
