/** Shades the part of the picture that the network did not see. */
import type { Shown } from '../../session/visit.ts';
import { need } from '../dom.ts';

export class Outline {
  readonly #crop = need('crop', SVGSVGElement);
  readonly #shade = need('crop-shade', SVGPathElement);
  readonly #edge = need('crop-edge', SVGRectElement);
  readonly #toggle = need('crop-toggle', HTMLInputElement);

  update({ opened }: Shown, wanted: boolean): void {
    const { width, height, region } = opened;
    const whole = region.width === width && region.height === height;
    this.#crop.toggleAttribute('hidden', whole || !wanted);
    this.#toggle.disabled = whole;
    this.#crop.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const right = region.x + region.width;
    const bottom = region.y + region.height;
    this.#shade.setAttribute(
      'd',
      `M0 0H${width}V${height}H0ZM${region.x} ${region.y}H${right}V${bottom}H${region.x}Z`,
    );
    for (const [name, value] of Object.entries(region)) {
      this.#edge.setAttribute(name, String(value));
    }
  }
}
