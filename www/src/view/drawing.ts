/** Drawing boxes on the shown picture with a mouse, a pen or a finger, while the visitor asks for that. */
import type { Region } from '../types.ts';
import { boxBetween, within, type Point } from './boxes.ts';
import { need } from './dom.ts';

/** A drag shorter than this on the screen is a click. */
const LEAST_DRAG = 4;

export class Drawing {
  readonly #layer = need('hide-layer', SVGSVGElement);
  readonly #toggle = need('hide-draw', HTMLButtonElement);
  #size = { width: 1, height: 1 };
  #boxes: Region[] = [];
  #from: { point: Point; screen: Point } | null = null;

  /** `done` is told the two corners of a box, in the picture's pixels. */
  constructor(done: (from: Point, to: Point) => void) {
    const layer = this.#layer;
    this.#toggle.addEventListener('click', () => this.#draws(!this.#drawing));
    document.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape' && this.#drawing) this.#draws(false);
    });
    layer.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      event.stopPropagation();
      layer.setPointerCapture(event.pointerId);
      this.#from = { point: this.#at(event), screen: { x: event.clientX, y: event.clientY } };
    });
    layer.addEventListener('pointermove', (event) => {
      if (this.#from) this.#paint(boxBetween(this.#from.point, this.#at(event)));
    });
    layer.addEventListener('pointerup', (event) => {
      const from = this.#from;
      this.#from = null;
      this.#paint(null);
      if (!from) return;
      const far = Math.hypot(event.clientX - from.screen.x, event.clientY - from.screen.y);
      if (far >= LEAST_DRAG) done(from.point, this.#at(event));
    });
    layer.addEventListener('pointercancel', () => {
      this.#from = null;
      this.#paint(null);
    });
  }

  /** Takes the size of the picture, in its pixels. */
  frame(width: number, height: number): void {
    this.#size = { width, height };
    this.#layer.setAttribute('viewBox', `0 0 ${width} ${height}`);
  }

  show(boxes: Region[]): void {
    this.#boxes = boxes;
    this.#paint(null);
  }

  get #drawing(): boolean {
    return this.#layer.hasAttribute('data-drawing');
  }

  #draws(draws: boolean): void {
    this.#layer.toggleAttribute('data-drawing', draws);
    this.#toggle.setAttribute('aria-pressed', String(draws));
  }

  /** Where a pointer is in the picture, however the page shows it. */
  #at({ clientX, clientY }: PointerEvent): Point {
    const onScreen = this.#layer.getScreenCTM();
    return new DOMPoint(clientX, clientY).matrixTransform(onScreen?.inverse());
  }

  #paint(next: Region | null): void {
    const inside = next && within(next, this.#size.width, this.#size.height);
    const boxes = inside ? [...this.#boxes, inside] : this.#boxes;
    this.#layer.replaceChildren(
      ...boxes.map((box) => {
        const rectangle = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
        for (const [name, value] of Object.entries(box)) {
          rectangle.setAttribute(name, String(value));
        }
        return rectangle;
      }),
    );
  }
}
