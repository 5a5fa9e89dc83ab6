/** A divider over a panel: left of it one picture, right of it another. A slider for pointer and keys. */
import { make } from '../dom.ts';
import { share } from './hands.ts';
import { Marks } from './marks.ts';
import type { Panel } from './panel.ts';

const STEPS: Record<string, number> = {
  ArrowLeft: -2,
  ArrowDown: -2,
  ArrowRight: 2,
  ArrowUp: 2,
  PageDown: -10,
  PageUp: 10,
  Home: -100,
  End: 100,
};

export class Swipe {
  /** What lies under the panel's own picture, and shows to the right of the divider. */
  readonly under = make('canvas', { width: 1, height: 1, className: 'under' });
  /** What is marked there. */
  readonly marks = new Marks();
  readonly #panel: Panel;
  readonly #divider = make('div', { className: 'divider', tabIndex: 0, role: 'slider' });
  #at = 50;
  #sides: [string, string] = ['', ''];

  constructor(panel: Panel) {
    this.#panel = panel;
    this.under.setAttribute('aria-hidden', 'true');
    this.marks.root.classList.add('under');
    panel.sheet.prepend(this.under);
    panel.sheet.append(this.marks.root);
    panel.window.append(this.#divider);
    const divider = this.#divider;
    divider.dataset['testid'] = 'swipe';
    divider.setAttribute('aria-label', 'Divider');
    divider.setAttribute('aria-valuemin', '0');
    divider.setAttribute('aria-valuemax', '100');
    divider.addEventListener('pointerdown', (event) => {
      // The picture under it must not move along.
      event.preventDefault();
      divider.focus();
      divider.setPointerCapture(event.pointerId);
    });
    divider.addEventListener('pointermove', (event) => {
      if (!divider.hasPointerCapture(event.pointerId)) return;
      event.preventDefault();
      this.#move(share(panel.window, event).x * 100);
    });
    divider.addEventListener('dblclick', (event) => event.preventDefault());
    divider.addEventListener('keydown', (event) => {
      const step = STEPS[event.key];
      if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.#move(this.#at + step);
    });
    this.show(null);
  }

  /** Names what is left and right of the divider; null puts it away. */
  show(sides: [string, string] | null): void {
    this.#divider.hidden = sides === null;
    this.under.hidden = sides === null;
    this.marks.root.hidden = sides === null;
    if (sides) {
      this.#sides = sides;
      this.#move(this.#at);
    } else this.#panel.window.style.removeProperty('--divider');
    this.#panel.window.toggleAttribute('data-swiped', sides !== null);
  }

  #move(at: number): void {
    this.#at = Math.min(Math.max(at, 0), 100);
    const [left, right] = this.#sides;
    this.#panel.window.style.setProperty('--divider', String(this.#at / 100));
    this.#divider.setAttribute('aria-valuenow', String(Math.round(this.#at)));
    this.#divider.setAttribute(
      'aria-valuetext',
      `${Math.round(this.#at)} % ${left}, the rest ${right}`,
    );
  }
}
