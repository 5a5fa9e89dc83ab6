/** Which model is asked, what it was trained on, and the notice that goes with it. */
import type { Session } from '../session.ts';
import { need, say } from './dom.ts';

const UNKNOWN_SOURCES = 'What this model was trained on is not known here.';

export class ModelView {
  readonly #name = need('model-name', HTMLElement);
  readonly #guess = need('model-guess', HTMLElement);
  readonly #notice = need('notice', HTMLElement);
  readonly #sources = need('sources', HTMLElement);
  readonly #version = need('version', HTMLElement);
  #drawn: Session['loaded'] = null;

  update({ loaded }: Session): void {
    if (!loaded || loaded === this.#drawn) return;
    this.#drawn = loaded;
    const { model, catalogue, version } = loaded;
    say(this.#name, model.name);
    this.#name.title = `sha256 ${model.sha256}`;
    this.#guess.hidden = !model.guessed;
    this.#guess.title = model.reasons.join(' ');
    say(this.#notice, model.notice || catalogue.notice);
    say(this.#sources, model.sources || UNKNOWN_SOURCES);
    say(this.#version, `gradlens ${version}.`);
  }
}
