/** One panel of the stage: a window onto a sheet of the picture's shape, with the marks that lie on it. */
import type { Explained } from '../../session/visit.ts';
import { make, say } from '../dom.ts';
import type { Camera, Point } from './camera.ts';
import { Marks, place } from './marks.ts';

export class Panel {
  readonly root: HTMLElement;
  readonly window: HTMLElement;
  readonly sheet: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly #title = make('p', { className: 'panel-title' });
  readonly marks = new Marks();
  readonly #cursor = make('span', { className: 'cursor-mark', hidden: true });

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
    this.#cursor.setAttribute('aria-hidden', 'true');
    this.sheet.append(this.marks.root, this.#cursor);
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
  }

  look({ scale, x, y }: Camera): void {
    this.sheet.style.setProperty('--zoom', String(scale));
    this.sheet.style.setProperty('--x', `${x * 100}%`);
    this.sheet.style.setProperty('--y', `${y * 100}%`);
    this.window.toggleAttribute('data-zoomed', scale > 1);
  }

  cursor(at: Point | null): void {
    place(this.#cursor, at);
  }
}
