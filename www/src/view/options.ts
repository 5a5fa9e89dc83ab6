/** What may be asked beyond the usual: smoother maps, several layers' maps in one, and what speaks against the class; offered as far as the method has it. */
import type { Session } from '../session.ts';
import { methodOf } from '../session/visit.ts';
import { make, need, say } from './dom.ts';
import { fillLayers } from './menus.ts';

const SMOOTHINGS: Record<string, string> = {
  augmented: 'Mean over the mirrored and the brighter and darker picture',
  eigen: 'First principal component of the channels',
};

export class OptionsView {
  readonly #box = need('options', HTMLDetailsElement);
  readonly #count = need('options-count', HTMLElement);
  readonly #against = need('against', HTMLInputElement);
  readonly #smoothings = need('smoothings', HTMLElement);
  readonly #fused = need('fused', HTMLElement);
  readonly #layers = need('fused-layers', HTMLSelectElement);
  readonly #session: Session;
  #filled: Session['loaded'] = null;

  constructor(session: Session) {
    this.#session = session;
    this.#against.addEventListener('change', () =>
      session.ask({ counterfactual: this.#against.checked }),
    );
    this.#layers.addEventListener('change', () =>
      session.ask({ layers: [...this.#layers.selectedOptions].map(({ value }) => value) }),
    );
  }

  update({ loaded, question, phase }: Session): void {
    if (!loaded) return;
    if (loaded !== this.#filled) this.#fill(loaded);
    const method = methodOf(question, loaded);
    const smooths = method?.smooths === true;
    const against = method?.counterfactual === true;
    this.#box.hidden = !smooths && !against;
    need('against-field', HTMLElement).hidden = !against;
    this.#smoothings.hidden = !smooths;
    this.#fused.hidden = !smooths;
    this.#against.checked = question.counterfactual;
    const idle = phase === 'loading';
    this.#against.disabled = this.#layers.disabled = idle;
    for (const box of this.#smoothings.querySelectorAll('input')) {
      box.checked = question.smooth.includes(box.value);
      box.disabled = idle;
    }
    for (const option of this.#layers.options) {
      option.selected = question.layers.includes(option.value);
      option.disabled = option.value === (question.layer ?? loaded.model.layer);
    }
    const chosen =
      Number(against && question.counterfactual) +
      (smooths ? question.smooth.length + question.layers.length : 0);
    say(this.#count, chosen === 0 ? '' : `${chosen} in use`);
  }

  #fill(loaded: NonNullable<Session['loaded']>): void {
    this.#filled = loaded;
    const { model, catalogue } = loaded;
    fillLayers(this.#layers, model.layers, model.layer);
    this.#smoothings.replaceChildren(
      make('legend', {}, 'Smoother by'),
      ...(catalogue.smooth ?? []).map((id) => {
        const input = make('input', { type: 'checkbox', value: id });
        input.addEventListener('change', () => this.#smooth(id, input.checked));
        return make('label', { className: 'check' }, input, make('span', {}, SMOOTHINGS[id] ?? id));
      }),
    );
  }

  #smooth(id: string, on: boolean): void {
    const others = this.#session.question.smooth.filter((other) => other !== id);
    this.#session.ask({ smooth: on ? [...others, id] : others });
  }
}
