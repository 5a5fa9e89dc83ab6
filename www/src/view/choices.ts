/** What to explain: class, contrast, method, target and layer. */
import type { Session } from '../session.ts';
import { highest } from '../session/visit.ts';
import type { Layer } from '../types.ts';
import { make, need, say } from './dom.ts';

interface Option {
  value: string;
  text: string;
}

/** Beyond this many layers, a part of a name finds one. */
const MANY_LAYERS = 24;

export class ChoicesView {
  readonly #class = need('class-select', HTMLSelectElement);
  readonly #contrast = need('contrast-select', HTMLSelectElement);
  readonly #method = need('method-select', HTMLSelectElement);
  readonly #target = need('target-select', HTMLSelectElement);
  readonly #layer = need('layer-select', HTMLSelectElement);
  readonly #filter = need('layer-filter', HTMLInputElement);
  readonly #about = need('method-about', HTMLElement);
  readonly #reason = need('layer-reason', HTMLElement);
  #filled: Session['loaded'] = null;

  constructor(session: Session) {
    const on = (select: HTMLSelectElement, choose: (value: string) => void): void =>
      select.addEventListener('change', () => choose(select.value));
    on(this.#class, (value) => session.chooseClass(indexOf(session, value) ?? 0));
    on(this.#contrast, (value) => session.ask({ contrast: indexOf(session, value) }));
    on(this.#method, (method) => session.ask({ method }));
    on(this.#target, (target) => session.ask({ target }));
    on(this.#layer, (layer) => session.ask({ layer }));
    this.#filter.addEventListener('input', () => {
      this.#list(session);
      this.update(session);
    });
  }

  update(session: Session): void {
    const { loaded, active, shown, question } = session;
    if (loaded !== this.#filled) this.#fill(loaded);
    const idle = !loaded || session.phase === 'loading';
    for (const select of [this.#method, this.#target, this.#layer]) select.disabled = idle;
    const picture = active?.scored ? active : (shown?.picture ?? null);
    for (const select of [this.#class, this.#contrast]) select.disabled = idle || !picture;
    if (!loaded) return;
    const { model, catalogue } = loaded;
    const chosen = picture?.scored ? (picture.class ?? highest(picture)) : 0;
    this.#class.value = valueOf(session, chosen);
    for (const option of this.#contrast.options) {
      option.disabled = option.value === this.#class.value;
    }
    const contrast = question.contrast === chosen ? null : question.contrast;
    this.#contrast.value = contrast === null ? '' : valueOf(session, contrast);
    this.#method.value = question.method ?? model.method;
    this.#layer.value = question.layer ?? model.layer;
    const method = catalogue.methods.find(({ id }) => id === this.#method.value);
    this.#target.value = question.target ?? method?.target ?? catalogue.targets[0] ?? '';
    say(this.#about, method?.about ?? '');
    const layer = model.layers.find(({ name }) => name === this.#layer.value);
    say(this.#reason, layer?.reason ? `Recommended: ${layer.reason}.` : '');
  }

  #fill(loaded: Session['loaded']): void {
    this.#filled = loaded;
    if (!loaded) return;
    const { model, catalogue } = loaded;
    const classes = model.labels.map(({ id, name }) => ({ value: id, text: name }));
    put(this.#class, classes);
    put(this.#contrast, [{ value: '', text: 'nothing' }, ...classes]);
    put(
      this.#method,
      catalogue.methods.map(({ id, name }) => ({ value: id, text: name })),
    );
    put(
      this.#target,
      catalogue.targets.map((target) => ({ value: target, text: target })),
    );
    this.#filter.value = '';
    this.#filter.hidden = model.layers.length <= MANY_LAYERS;
    this.#list({ loaded, question: null });
  }

  /** The layers, the recommended one first, the others by the size of their maps from the deepest on. */
  #list({
    loaded,
    question,
  }: {
    loaded: Session['loaded'];
    question: Session['question'] | null;
  }): void {
    if (!loaded) return;
    const { model } = loaded;
    const part = this.#filter.value.trim().toLowerCase();
    const chosen = question?.layer ?? model.layer;
    const fits = ({ name, recommended }: Layer): boolean =>
      name === chosen || recommended || name.toLowerCase().includes(part);
    const groups = new Map<string, Layer[]>();
    for (const layer of model.layers.filter(fits).reverse()) {
      const title = layer.recommended ? 'Recommended' : `Maps of ${layer.width} × ${layer.height}`;
      groups.set(title, [...(groups.get(title) ?? []), layer]);
    }
    const titles = [...groups.keys()].sort(
      (a, b) => +(b === 'Recommended') - +(a === 'Recommended'),
    );
    this.#layer.replaceChildren(
      ...titles.map((label) =>
        make(
          'optgroup',
          { label },
          ...(groups.get(label) ?? []).map(({ name, channels, height, width }) =>
            make('option', {
              value: name,
              textContent: `${name}: ${channels} × ${height} × ${width}`,
            }),
          ),
        ),
      ),
    );
  }
}

function put(select: HTMLSelectElement, options: Option[]): void {
  select.replaceChildren(
    ...options.map(({ value, text }) => make('option', { value, textContent: text })),
  );
}

function indexOf({ loaded }: Session, id: string): number | null {
  return loaded?.model.labels.find((label) => label.id === id)?.index ?? null;
}

function valueOf({ loaded }: Session, index: number): string {
  return loaded?.model.labels.find((label) => label.index === index)?.id ?? '';
}
