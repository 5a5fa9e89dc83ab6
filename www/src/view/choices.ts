/** What to explain: class, contrast, method, target and layer. */
import type { Session } from '../session.ts';
import { highest } from '../session/visit.ts';
import { need, say } from './dom.ts';
import { about, classChoices, fill, fillLayers, fillMethods } from './menus.ts';

/** Beyond this many layers, a part of a name finds one. */
const MANY_LAYERS = 24;

export class ChoicesView {
  readonly #class = need('class-select', HTMLSelectElement);
  readonly #contrast = need('contrast-select', HTMLSelectElement);
  readonly #method = need('method-select', HTMLSelectElement);
  readonly #target = need('target-select', HTMLSelectElement);
  readonly #layer = need('layer-select', HTMLSelectElement);
  readonly #layerField = need('layer-field', HTMLElement);
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
    if (loaded !== this.#filled) this.#fill(session);
    const idle = !loaded || session.phase === 'loading';
    for (const select of [this.#method, this.#target]) select.disabled = idle;
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
    say(this.#about, about(method));
    // A method of the pixels has no layer to choose.
    const pixels = method?.kind === 'pixels';
    this.#layer.disabled = idle || pixels;
    this.#layerField.hidden = pixels;
    const layer = pixels ? null : model.layers.find(({ name }) => name === this.#layer.value);
    say(this.#reason, layer?.reason ? `Recommended: ${layer.reason}.` : '');
  }

  #fill(session: Session): void {
    const { loaded } = session;
    this.#filled = loaded;
    if (!loaded) return;
    const { model, catalogue } = loaded;
    const classes = classChoices(model);
    fill(this.#class, classes);
    fill(this.#contrast, [{ value: '', text: 'nothing' }, ...classes]);
    fillMethods(this.#method, catalogue.methods);
    fill(
      this.#target,
      catalogue.targets.map((target) => ({ value: target, text: target })),
    );
    this.#filter.value = '';
    this.#filter.hidden = model.layers.length <= MANY_LAYERS;
    this.#list(session);
  }

  #list({ loaded, question }: Session): void {
    if (!loaded) return;
    const { layers, layer } = loaded.model;
    const part = this.#filter.value.trim().toLowerCase();
    fillLayers(this.#layer, layers, question.layer ?? layer, part);
  }
}

function indexOf({ loaded }: Session, id: string): number | null {
  return loaded?.model.labels.find((label) => label.id === id)?.index ?? null;
}

function valueOf({ loaded }: Session, index: number): string {
  return loaded?.model.labels.find((label) => label.index === index)?.id ?? '';
}
