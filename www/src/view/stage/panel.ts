/** One panel of the stage: a window onto a sheet of the picture's shape, with the marks that lie on it. */
import type { Explained } from '../../session/visit.ts';
import { make, say } from '../dom.ts';
import type { Camera, Point } from './camera.ts';

const SVG = 'http://www.w3.org/2000/svg';

export class Panel {
  readonly root: HTMLElement;
  readonly window: HTMLElement;
  readonly sheet: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly #title = make('p', { className: 'panel-title' });
  readonly #peak = make('span', { className: 'peak-mark' });
  readonly #cursor = make('span', { className: 'cursor-mark' });
  readonly #marks = document.createElementNS(SVG, 'svg');
  readonly #lines = ['contour-casing', 'contour-line'].map((name) => {
    const line = document.createElementNS(SVG, 'path');
    line.setAttribute('class', name);
    return line;
  });

  /** `root` is an element of the page with window, sheet and canvas in it, or a new one. */
  constructor(root: HTMLElement | null, name: string) {
    const canvas = root?.querySelector('canvas') ?? make('canvas', { width: 1, height: 1 });
    this.canvas = canvas;
    this.sheet =
      root?.querySelector<HTMLElement>('.sheet') ?? make('div', { className: 'sheet' }, canvas);
    this.window =
      root?.querySelector<HTMLElement>('.window') ??
      make('div', { className: 'window', tabIndex: 0, role: 'group' }, this.sheet);
    this.root = root ?? make('div', { className: 'panel' }, this.window);
    this.root.dataset['panel'] = name;
    if (!root) canvas.setAttribute('role', 'img');
    this.root.prepend(this.#title);
    this.#marks.setAttribute('class', 'marks');
    this.#marks.setAttribute('preserveAspectRatio', 'none');
    this.#marks.append(...this.#lines);
    for (const mark of [this.#marks, this.#peak, this.#cursor]) {
      mark.setAttribute('aria-hidden', 'true');
      this.sheet.append(mark);
    }
    this.cursor(null);
    this.peak(null);
  }

  /** What it shows: in a line above it, and to who cannot see it. */
  title(text: string, words: string): void {
    say(this.#title, text);
    this.#title.hidden = text === '';
    this.window.setAttribute('aria-label', text ? `Panel: ${text}` : 'Picture and heat map');
    this.canvas.setAttribute('aria-label', words);
  }

  shape({ width, height }: Explained['opened']): void {
    this.root.style.setProperty('--ratio', String(width / height));
    this.#marks.setAttribute('viewBox', `0 0 ${width} ${height}`);
  }

  look({ scale, x, y }: Camera): void {
    this.sheet.style.setProperty('--zoom', String(scale));
    this.sheet.style.setProperty('--x', `${x * 100}%`);
    this.sheet.style.setProperty('--y', `${y * 100}%`);
    this.window.toggleAttribute('data-zoomed', scale > 1);
  }

  contour(path: string): void {
    for (const line of this.#lines) line.setAttribute('d', path);
  }

  /** Marks where the map is highest; a point in shares of the picture. */
  peak(at: Point | null): void {
    place(this.#peak, at);
  }

  cursor(at: Point | null): void {
    place(this.#cursor, at);
  }
}

function place(mark: HTMLElement, at: Point | null): void {
  mark.hidden = at === null;
  if (!at) return;
  mark.style.left = `${at.x * 100}%`;
  mark.style.top = `${at.y * 100}%`;
}
