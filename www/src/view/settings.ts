/** The manifest that is in use, to be read, and for one's own model to be changed. */
import type { LoadedModel, Session } from '../session.ts';
import { need, say } from './dom.ts';
import { keep } from './file.ts';

const FILE = 'manifest.json';

export class SettingsView {
  readonly #box = need('settings', HTMLDetailsElement);
  readonly #hint = need('settings-hint', HTMLElement);
  readonly #text = need('manifest', HTMLTextAreaElement);
  readonly #apply = need('manifest-apply', HTMLButtonElement);
  #drawn: Session['loaded'] = null;

  constructor(session: Session) {
    this.#apply.addEventListener('click', () => {
      const source = session.loaded?.source;
      if (source?.kind !== 'files') return;
      void session.loadModel({ ...source, manifest: new File([this.#text.value], FILE) });
    });
    need('manifest-save', HTMLButtonElement).addEventListener('click', () => {
      keep(FILE, new Blob([this.#text.value], { type: 'application/json' }));
    });
  }

  update({ loaded, phase }: Session): void {
    const own = loaded?.source.kind === 'files';
    this.#apply.disabled = !own || phase === 'loading';
    if (!loaded || loaded === this.#drawn) return;
    this.#drawn = loaded;
    this.#text.value = manifest(loaded);
    this.#text.readOnly = !own;
    this.#box.open = loaded.model.guessed;
    say(this.#hint, hint(loaded));
  }
}

function hint({ source, model }: LoadedModel): string {
  if (source.kind === 'shipped') return 'How this model sees a picture, and what its scores mean.';
  return model.guessed
    ? 'No manifest came with this model, so this is a guess. Correct it, above all the preprocessing: wrong preprocessing gives wrong scores.'
    : 'From the manifest that was chosen with the model.';
}

function manifest({ model }: LoadedModel): string {
  const { id, name, labels, input, preprocessing, layer, notice, sources } = model;
  const whole = {
    schema: 'gradlens.model/1',
    id,
    name,
    labels: labels.map(({ id, name }) => ({ id, name })),
    input,
    preprocessing,
    layer,
    notice,
    sources,
  };
  return `${JSON.stringify(whole, null, 2)}\n`;
}
