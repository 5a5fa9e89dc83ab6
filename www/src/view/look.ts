/** How the map is drawn: opacity, colours, a contour line, marks, and the legend in the map's own units. */
import type { Session } from '../session.ts';
import { colorsOf, type Explained } from '../session/visit.ts';
import { make, need, paint, say } from './dom.ts';
import { raw } from './text.ts';

export class LookView {
  readonly #box = need('look', HTMLElement);
  readonly #opacity = need('opacity', HTMLInputElement);
  readonly #value = need('opacity-value', HTMLOutputElement);
  readonly #colormap = need('colormap-select', HTMLSelectElement);
  readonly #contour = need('contour', HTMLInputElement);
  readonly #threshold = need('contour-value', HTMLOutputElement);
  readonly #outline = need('crop-toggle', HTMLInputElement);
  readonly #peak = need('peak-toggle', HTMLInputElement);
  readonly #legend = need('legend', HTMLCanvasElement);
  readonly #mark = need('legend-mark', HTMLElement);
  readonly #ticks = need('legend-ticks', HTMLElement);
  readonly #ticksB = need('legend-ticks-b', HTMLElement);

  constructor(session: Session) {
    for (const name of ['input', 'change']) {
      this.#opacity.addEventListener(name, () =>
        session.lookThrough({ opacity: this.#opacity.valueAsNumber }),
      );
      this.#contour.addEventListener(name, () =>
        session.lookAt({ contour: this.#contour.valueAsNumber }),
      );
    }
    this.#colormap.addEventListener('change', () =>
      session.lookThrough({ colormap: this.#colormap.value }),
    );
    this.#outline.addEventListener('change', () =>
      session.lookAt({ outline: this.#outline.checked }),
    );
    this.#peak.addEventListener('change', () => session.lookAt({ peak: this.#peak.checked }));
  }

  update({ look, sight, loaded, shown, comparison }: Session): void {
    this.#box.hidden = shown === null;
    const names = loaded?.catalogue.colormaps ?? [look.colormap];
    if (this.#colormap.options.length !== names.length) {
      this.#colormap.replaceChildren(
        ...names.map((name) => make('option', { value: name, textContent: name })),
      );
    }
    this.#colormap.value = look.colormap;
    this.#opacity.valueAsNumber = look.opacity;
    say(this.#value, `${Math.round(look.opacity * 100)} %`);
    this.#contour.valueAsNumber = sight.contour;
    this.#outline.checked = sight.outline;
    this.#peak.checked = sight.peak;
    if (!shown) return;
    const table = loaded?.tables[colorsOf(shown, look.colormap)];
    if (table) paint(this.#legend, table, table.length / 4, 1);
    const [min, max] = shown.explanation.ends;
    this.#contour.disabled = max <= 0;
    this.#line(sight.contour, min, max);
    const b = comparison?.shown ?? null;
    ticks(this.#ticks, shown, b ? 'A' : '');
    this.#ticksB.hidden = b === null;
    if (b) ticks(this.#ticksB, b, 'B');
  }

  /** Where the contour's threshold lies, in numbers and on the legend. */
  #line(contour: number, min: number, max: number): void {
    const drawn = contour > 0 && max > 0;
    say(this.#threshold, drawn ? `at ${Math.round(contour * 100)} %` : 'off');
    const place = max > min ? (contour * max - min) / (max - min) : 0;
    this.#mark.hidden = !drawn || place < 0;
    this.#mark.style.left = `${place * 100}%`;
  }
}

/** Lowest, middle and highest value of a map under the colours that they have. */
function ticks(line: HTMLElement, { explanation }: Explained, name: string): void {
  const [min, max] = explanation.ends;
  const words = [min, min + (max - min) / 2, max].map(raw);
  const labelled = name ? [`${name} ${words[0]}`, ...words.slice(1)] : words;
  if (line.textContent === labelled.join('')) return;
  line.replaceChildren(...labelled.map((text) => make('span', {}, text)));
}
