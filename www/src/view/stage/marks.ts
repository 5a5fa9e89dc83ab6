/** What is marked on a sheet: the contour of a map, and where it is highest. */
import type { Explained } from '../../session/visit.ts';
import { make } from '../dom.ts';
import type { Point } from './camera.ts';

const SVG = 'http://www.w3.org/2000/svg';

export class Marks {
  readonly root = make('div', { className: 'marks' });
  readonly #drawing = document.createElementNS(SVG, 'svg');
  readonly #peak = make('span', { className: 'peak-mark', hidden: true });
  readonly #lines = ['contour-casing', 'contour-line'].map((name) => {
    const line = document.createElementNS(SVG, 'path');
    line.setAttribute('class', name);
    return line;
  });

  constructor() {
    this.root.setAttribute('aria-hidden', 'true');
    this.#drawing.setAttribute('preserveAspectRatio', 'none');
    this.#drawing.append(...this.#lines);
    this.root.append(this.#drawing, this.#peak);
  }

  /** A path in the picture's pixels, and a point in shares of its size. */
  show({ width, height }: Explained['opened'], contour: string, peak: Point | null): void {
    this.#drawing.setAttribute('viewBox', `0 0 ${width} ${height}`);
    for (const line of this.#lines) line.setAttribute('d', contour);
    place(this.#peak, peak);
  }
}

/** Puts a mark on a point of the picture; null takes it away. */
export function place(mark: HTMLElement, at: Point | null): void {
  mark.hidden = at === null;
  if (!at) return;
  mark.style.left = `${at.x * 100}%`;
  mark.style.top = `${at.y * 100}%`;
}
