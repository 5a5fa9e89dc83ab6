/** Which model is asked, what it was trained on, and the notice that goes with it. */
import type { Session } from '../session.ts';
import type { ShippedModel } from '../protocol.ts';
import { make, need, say } from './dom.ts';

const UNKNOWN_SOURCES = 'What this model was trained on is not known here.';

export class ModelView {
  readonly #name = need('model-name', HTMLElement);
  readonly #line = need('model-line', HTMLElement);
  readonly #guess = need('model-guess', HTMLElement);
  readonly #notice = need('notice', HTMLElement);
  readonly #sources = need('sources', HTMLElement);
  readonly #version = need('version', HTMLElement);
  readonly #select = need('shipped-select', HTMLSelectElement);
  #drawn: Session['loaded'] = null;

  /** `shipped` are the models to choose from, the first to begin with. */
  constructor(session: Session, shipped: (ShippedModel & { about: string })[]) {
    this.#select.append(
      ...shipped.map(({ name, about }) => make('option', { value: name }, about)),
      make('option', { value: '', hidden: true }, 'your own'),
    );
    this.#select.addEventListener('change', () => {
      const chosen = shipped.find(({ name }) => name === this.#select.value);
      if (chosen) void session.loadModel({ kind: 'shipped', ...chosen });
    });
  }

  update({ loaded, phase }: Session): void {
    this.#select.disabled = phase === 'loading';
    if (phase === 'loading' || !loaded) return;
    // Also where another model was chosen and refused.
    this.#select.value = loaded.source.kind === 'shipped' ? loaded.source.name : '';
    if (loaded === this.#drawn) return;
    this.#drawn = loaded;
    const { model, catalogue, version } = loaded;
    say(this.#name, model.name);
    // The menu says it of a model of the page.
    this.#line.hidden = loaded.source.kind === 'shipped';
    this.#name.title = this.#select.title = `sha256 ${model.sha256}`;
    this.#guess.hidden = !model.guessed;
    this.#guess.title = model.reasons.join(' ');
    say(this.#notice, model.notice || catalogue.notice);
    say(this.#sources, model.sources || UNKNOWN_SOURCES);
    say(this.#version, `gradlens ${version}.`);
  }
}
