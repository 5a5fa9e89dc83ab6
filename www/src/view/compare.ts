/** Comparing: what B is asked, how it got on, and how alike the two maps are. */
import type { Session } from '../session.ts';
import type { Comparison } from '../session/comparison.ts';
import type { ModelSource, ShippedModel } from '../protocol.ts';
import { highest } from '../session/visit.ts';
import { need, say } from './dom.ts';
import { classChoices, fill, fillLayers, fillMethods } from './menus.ts';
import { sentence } from './stage/words.ts';
import { milliseconds } from './text.ts';

export class CompareView {
  readonly #section = need('compare-section', HTMLElement);
  readonly #model = need('compare-model', HTMLSelectElement);
  readonly #class = need('compare-class', HTMLSelectElement);
  readonly #method = need('compare-method', HTMLSelectElement);
  readonly #layer = need('compare-layer', HTMLSelectElement);
  readonly #status = need('compare-status', HTMLElement);
  readonly #words = need('compare-words', HTMLElement);
  readonly #alike = need('compare-alike', HTMLElement);
  readonly #shipped: (ShippedModel & { about: string })[];
  /** What the entries of the menu of models stand for, after the first. */
  #sources: ModelSource[] = [];
  #owned: Session['owned'] | null = null;
  #filled: Comparison['loaded'] = null;

  /** `shipped` are the models that B may have. */
  constructor(session: Session, shipped: (ShippedModel & { about: string })[]) {
    this.#shipped = shipped;
    const on = (
      select: HTMLSelectElement,
      choose: (comparison: Comparison, value: string) => void,
    ): void =>
      select.addEventListener('change', () => {
        if (session.comparison) choose(session.comparison, select.value);
      });
    on(this.#model, (comparison, value) => {
      const source = this.#sources[Number(value) - 1] ?? null;
      comparison.ask({ source });
    });
    on(this.#class, (comparison, value) => {
      const label = comparison.loaded?.model.labels.find(({ id }) => id === value);
      comparison.ask({ class: label?.index ?? null });
    });
    on(this.#method, (comparison, method) => comparison.ask({ method, target: null }));
    on(this.#layer, (comparison, layer) => comparison.ask({ layer }));
    need('compare-end', HTMLButtonElement).addEventListener('click', () => {
      session.compare(false);
      need('compare', HTMLButtonElement).focus();
    });
  }

  update({ comparison, shown, owned }: Session): void {
    this.#section.hidden = comparison === null || shown === null;
    if (!comparison) {
      this.#filled = null;
      return;
    }
    const { loaded, phase, problem, wish } = comparison;
    say(this.#status, status(comparison));
    this.#status.dataset['state'] = phase;
    this.#status.toggleAttribute('data-problem', problem !== '');
    this.#choices(comparison);
    if (owned !== this.#owned) this.#models(owned);
    const chosen = wish.source ? this.#sources.indexOf(wish.source) + 1 : 0;
    this.#model.selectedIndex = chosen;
    const b = comparison.shown;
    say(this.#words, b ? `B: ${sentence(loaded, b)} ${b.explanation.empty ?? ''}`.trim() : '');
    say(this.#alike, b ? alike(comparison) : '');
  }

  /** The model of A, those of the page, and the visitor's own. */
  #models(owned: Session['owned']): void {
    this.#owned = owned;
    const shipped = this.#shipped.map((model) => ({ kind: 'shipped' as const, ...model }));
    this.#sources = [...shipped, ...owned];
    const names = [...shipped.map(({ about }) => about), ...owned.map(({ model }) => model.name)];
    fill(
      this.#model,
      ['the same', ...names].map((text, at) => ({ value: String(at), text })),
    );
  }

  #choices({ loaded, shown, wish }: Comparison): void {
    for (const select of [this.#class, this.#method, this.#layer]) select.disabled = !loaded;
    if (!loaded) return;
    const { model, catalogue } = loaded;
    if (loaded !== this.#filled) {
      this.#filled = loaded;
      fill(this.#class, classChoices(model));
      fillMethods(this.#method, catalogue.methods);
      fillLayers(this.#layer, model.layers, model.layer);
    }
    const chosen = wish.class ?? (shown ? best(shown) : 0);
    this.#class.value = model.labels.find(({ index }) => index === chosen)?.id ?? '';
    this.#method.value = wish.method ?? model.method;
    this.#layer.value = wish.layer ?? model.layer;
    const method = catalogue.methods.find(({ id }) => id === this.#method.value);
    this.#layer.disabled = method?.kind === 'pixels';
  }
}

/** The class that B explains where it is left to B. */
function best({ opened, picture }: NonNullable<Comparison['shown']>): number {
  return highest({ ...picture, scored: picture.scored && { ...picture.scored, opened } });
}

function status({ phase, problem, progress, shown }: Comparison): string {
  if (problem) return problem;
  if (phase === 'loading') return 'Loading a second engine and its model';
  if (phase === 'done' && shown) {
    return `Explained in ${milliseconds(shown.explanation.milliseconds.backward)}`;
  }
  return progress?.step === 'passes'
    ? `${progress.received} of ${progress.total} passes`
    : 'Looking at the picture';
}

function alike({ similarity }: Comparison): string {
  const { spearman = null, ssim = null } = similarity ?? {};
  if (spearman === null) return 'How alike the two maps are cannot be said: one of them is flat.';
  const structure = ssim === null ? '' : `, structural similarity ${ssim.toFixed(2)}`;
  return `The two maps: rank correlation ${spearman.toFixed(2)} (Spearman; 1 is the same order of places, 0 none in common)${structure}.`;
}
