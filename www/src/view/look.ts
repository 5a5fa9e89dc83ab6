/** How the map is drawn: opacity, colours, and the legend in the map's own units. */
import type { Session } from '../session.ts';
import { make, need, paint, say } from './dom.ts';
import { raw } from './text.ts';

export class LookView {
  readonly #box = need('look', HTMLElement);
  readonly #opacity = need('opacity', HTMLInputElement);
  readonly #value = need('opacity-value', HTMLOutputElement);
  readonly #colormap = need('colormap-select', HTMLSelectElement);
  readonly #legend = need('legend', HTMLCanvasElement);
  readonly #low = need('legend-low', HTMLElement);
  readonly #high = need('legend-high', HTMLElement);
  readonly #unit = need('legend-unit', HTMLElement);
  #drawn: Session['shown'] = null;

  constructor(session: Session) {
    const opacity = (): void => session.lookThrough({ opacity: this.#opacity.valueAsNumber });
    this.#opacity.addEventListener('input', opacity);
    this.#opacity.addEventListener('change', opacity);
    this.#colormap.addEventListener('change', () =>
      session.lookThrough({ colormap: this.#colormap.value }),
    );
  }

  update({ look, loaded, shown }: Session): void {
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
    if (!shown || shown === this.#drawn) return;
    this.#drawn = shown;
    paint(this.#legend, shown.legend, shown.legend.length / 4, 1);
    const { min, max } = shown.explanation.report.map;
    say(this.#low, raw(min));
    say(this.#high, raw(max));
    say(this.#unit, 'raw map values');
  }
}
