/** How the model sees and what its scores mean: a form over its manifest, and the manifest itself for those who know it. */
import type { Session } from '../session.ts';
import type { LoadedModel } from '../session/visit.ts';
import type { Manifest } from '../types.ts';
import { make, need, say } from './dom.ts';
import { keep } from './file.ts';

const FILE = 'manifest.json';
const BYTE = 1 / 255;

/** The shipped segmenter, for a model that is to see lungs only. */
const LUNGS = { model: 'lungs', crop_margin: 0.06, gate: true };

interface Preset {
  text: string;
  channels: string;
  mean: number[];
  std: number[];
}

/** What networks are usually fed with; values are of 0 to 1 before it. */
const PRESETS: Record<string, Preset> = {
  imagenet: {
    text: 'ImageNet mean and deviation',
    channels: 'rgb',
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  },
  unit: { text: '0 to 1', channels: 'rgb', mean: [0], std: [1] },
  signed: { text: '−1 to 1 (TensorFlow)', channels: 'rgb', mean: [0.5], std: [0.5] },
  byte: { text: '0 to 255', channels: 'rgb', mean: [0], std: [BYTE] },
  caffe: {
    text: '0 to 255, blue first, mean off (Caffe)',
    channels: 'bgr',
    mean: [103.939 * BYTE, 116.779 * BYTE, 123.68 * BYTE],
    std: [BYTE],
  },
};

export class SettingsView {
  readonly #box = need('settings', HTMLDetailsElement);
  readonly #hint = need('settings-hint', HTMLElement);
  readonly #reasons = need('settings-reasons', HTMLUListElement);
  readonly #form = need('settings-form', HTMLFieldSetElement);
  readonly #preset = need('preset', HTMLSelectElement);
  readonly #mean = need('mean', HTMLInputElement);
  readonly #std = need('std', HTMLInputElement);
  readonly #channels = need('channels', HTMLSelectElement);
  readonly #crop = need('crop-select', HTMLSelectElement);
  readonly #grey = need('grey', HTMLInputElement);
  readonly #width = need('input-width', HTMLInputElement);
  readonly #height = need('input-height', HTMLInputElement);
  readonly #scores = need('score-select', HTMLSelectElement);
  readonly #squash = need('squash-select', HTMLSelectElement);
  readonly #layer = need('default-layer', HTMLSelectElement);
  readonly #labels = need('labels', HTMLTextAreaElement);
  readonly #labelFile = need('labels-input', HTMLInputElement);
  readonly #forget = need('settings-forget', HTMLButtonElement);
  readonly #text = need('manifest', HTMLTextAreaElement);
  readonly #apply = need('manifest-apply', HTMLButtonElement);
  readonly #session: Session;
  #drawn: Session['loaded'] = null;

  constructor(session: Session) {
    this.#session = session;
    const presets = Object.entries(PRESETS).map(([value, { text }]) => ({ value, text }));
    fill(this.#preset, [...presets, { value: '', text: 'own numbers' }]);
    this.#preset.addEventListener('change', () => this.#choosePreset());
    for (const field of [this.#mean, this.#std, this.#channels, this.#crop, this.#grey]) {
      field.addEventListener('change', () => this.#changePreprocessing(field));
    }
    for (const field of [this.#width, this.#height]) {
      field.addEventListener('change', () => this.#changeSize(field));
    }
    this.#scores.addEventListener('change', () => this.#changeScores());
    this.#squash.addEventListener('change', () =>
      this.#change(this.#squash, (manifest) => (manifest.squash = this.#squash.value)),
    );
    this.#layer.addEventListener('change', () =>
      this.#change(this.#layer, (manifest) => (manifest.layer = this.#layer.value)),
    );
    this.#labels.addEventListener('change', () => void this.#changeLabels(this.#labels.value));
    this.#labels.addEventListener('drop', (event) => {
      const file = event.dataTransfer?.files[0];
      if (!file || file.name.toLowerCase().endsWith('.onnx')) return;
      event.preventDefault();
      event.stopPropagation();
      document.body.removeAttribute('data-dragging');
      void file.text().then((text) => this.#changeLabels(text));
    });
    this.#labelFile.addEventListener('change', () => {
      const file = this.#labelFile.files?.[0];
      this.#labelFile.value = '';
      void file?.text().then((text) => this.#changeLabels(text));
    });
    this.#forget.addEventListener('click', () => void session.forget());
    this.#apply.addEventListener('click', () => void this.#applyText());
    need('manifest-save', HTMLButtonElement).addEventListener('click', () => {
      keep(FILE, new Blob([this.#text.value], { type: 'application/json' }));
    });
  }

  update({ loaded, phase }: Session): void {
    const own = loaded?.source.kind === 'files';
    this.#form.disabled = !own || phase === 'loading';
    this.#apply.disabled = this.#form.disabled;
    if (!loaded || loaded === this.#drawn) return;
    const sameFile = loaded.source === this.#drawn?.source;
    this.#drawn = loaded;
    if (!sameFile) this.#box.open = loaded.model.guessed;
    this.#draw(loaded);
  }

  #draw(loaded: LoadedModel): void {
    const { model, source } = loaded;
    const { manifest } = model;
    const { preprocessing, input } = manifest;
    say(this.#hint, hint(loaded));
    this.#reasons.replaceChildren(...model.reasons.map((reason) => make('li', {}, reason)));
    this.#forget.hidden = !loaded.own;
    this.#mean.value = preprocessing.mean.map(short).join(', ');
    this.#std.value = preprocessing.std.map(short).join(', ');
    this.#preset.value = presetOf(manifest);
    const grey = input.channels === 'grey';
    fill(
      this.#channels,
      (grey ? ['grey'] : ['rgb', 'bgr']).map((value) => ({ value, text: CHANNELS[value] ?? '' })),
    );
    this.#channels.value = input.channels;
    this.#channels.disabled = grey;
    this.#crop.value = preprocessing.crop;
    this.#grey.checked = preprocessing.grey;
    this.#width.value = String(input.width);
    this.#height.value = String(input.height);
    for (const field of [this.#width, this.#height]) field.readOnly = !model.open_size;
    const tensors = model.score_tensors;
    const known = tensors.some(({ name }) => name === model.scores);
    const own = { name: model.scores, classes: manifest.labels.length };
    fill(
      this.#scores,
      (known ? tensors : [own, ...tensors]).map(({ name, classes }) => ({
        value: name,
        text: `${name} (${classes})`,
      })),
    );
    this.#scores.value = model.scores;
    this.#squash.value = model.squash;
    this.#squash.disabled = model.own_squash !== null;
    fill(
      this.#layer,
      model.layers.map(({ name, recommended }) => ({
        value: name,
        text: recommended ? `${name} (recommended)` : name,
      })),
    );
    this.#layer.value = model.layer;
    this.#labels.value = manifest.labels.map(({ name }) => name).join('\n');
    say(need('labels-count', HTMLElement), `${manifest.labels.length}`);
    this.#text.value = `${JSON.stringify(manifest, null, 2)}\n`;
    this.#text.readOnly = source.kind !== 'files';
    for (const field of this.#form.querySelectorAll<HTMLElement>('input, select, textarea')) {
      complain(field, '');
    }
  }

  #choosePreset(): void {
    const preset = PRESETS[this.#preset.value];
    if (!preset) {
      this.#mean.focus();
      return;
    }
    this.#change(this.#preset, ({ preprocessing, input }) => {
      const single = input.channels === 'grey';
      preprocessing.mean = single ? preset.mean.slice(0, 1) : preset.mean;
      preprocessing.std = single ? preset.std.slice(0, 1) : preset.std;
      if (!single) input.channels = preset.channels;
    });
  }

  #changePreprocessing(field: HTMLInputElement | HTMLSelectElement): void {
    const mean = numbers(this.#mean.value);
    const std = numbers(this.#std.value);
    for (const [of, values] of [
      [this.#mean, mean],
      [this.#std, std],
    ] as const) {
      complain(of, values ? '' : 'Numbers, separated by commas: one, or one a channel.');
    }
    if (!mean || !std) return;
    this.#change(field, (manifest) => {
      const { preprocessing, input } = manifest;
      // What was only shortened for the eye keeps its digits.
      if (this.#mean.value !== preprocessing.mean.map(short).join(', ')) preprocessing.mean = mean;
      if (this.#std.value !== preprocessing.std.map(short).join(', ')) preprocessing.std = std;
      preprocessing.crop = this.#crop.value;
      if (preprocessing.crop === 'lungs') manifest.companion ??= LUNGS;
      preprocessing.grey = this.#grey.checked;
      input.channels = this.#channels.value;
    });
  }

  #changeSize(field: HTMLInputElement): void {
    const side = Number(field.value);
    if (!Number.isInteger(side) || side < 1 || side > 8192) {
      complain(field, 'A whole number of pixels, 1 to 8192.');
      return;
    }
    this.#change(field, ({ input }) => {
      input[field === this.#width ? 'width' : 'height'] = side;
    });
  }

  #changeScores(): void {
    const tensor = this.#drawn?.model.score_tensors.find(({ name }) => name === this.#scores.value);
    this.#change(this.#scores, (manifest) => {
      manifest.scores = this.#scores.value;
      delete manifest.probabilities;
      if (tensor?.classes !== manifest.labels.length) manifest.labels = [];
    });
  }

  async #changeLabels(text: string): Promise<void> {
    try {
      const labels = await this.#session.labels(text);
      this.#change(this.#labels, (manifest) => (manifest.labels = labels));
    } catch (error) {
      complain(this.#labels, error instanceof Error ? error.message : String(error));
    }
  }

  async #applyText(): Promise<void> {
    let manifest: Manifest;
    try {
      manifest = JSON.parse(this.#text.value) as Manifest;
    } catch (error) {
      complain(this.#text, `Not JSON: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    complain(this.#text, (await this.#session.configure(manifest)) ?? '');
  }

  /** Changes a copy of the manifest and puts it to use; what is wrong with it stands beside the field. */
  #change(field: HTMLElement, edit: (manifest: Manifest) => void): void {
    const manifest = this.#drawn && structuredClone(this.#drawn.model.manifest);
    if (!manifest) return;
    edit(manifest);
    void this.#session.configure(manifest).then((problem) => complain(field, problem ?? ''));
  }
}

const CHANNELS: Record<string, string> = {
  rgb: 'red, green, blue',
  bgr: 'blue, green, red',
  grey: 'one, grey',
};

/** Shows a line under a field, or takes it away. */
function complain(field: HTMLElement, problem: string): void {
  const line = document.getElementById(`${field.id}-problem`);
  if (line) say(line, problem.replace(/^manifest: /, ''));
  if (problem) field.setAttribute('aria-invalid', 'true');
  else field.removeAttribute('aria-invalid');
}

function fill(select: HTMLSelectElement, options: { value: string; text: string }[]): void {
  select.replaceChildren(
    ...options.map(({ value, text }) => make('option', { value, textContent: text })),
  );
}

function numbers(text: string): number[] | null {
  const values = text.split(/[\s,;]+/).filter((part) => part !== '');
  const read = values.map(Number);
  return read.length > 0 && read.every(Number.isFinite) ? read : null;
}

function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function presetOf({ preprocessing, input }: Manifest): string {
  const same = (a: number[], b: number[]): boolean =>
    [0, 1, 2].every((at) => short(a[at] ?? a[0] ?? NaN) === short(b[at] ?? b[0] ?? NaN));
  const found = Object.entries(PRESETS).find(
    ([, { mean, std, channels }]) =>
      same(mean, preprocessing.mean) &&
      same(std, preprocessing.std) &&
      (input.channels === 'grey' || input.channels === channels),
  );
  return found?.[0] ?? '';
}

function hint({ source, model, own }: LoadedModel): string {
  if (source.kind === 'shipped') return 'How this model sees a picture, and what its scores mean.';
  if (model.guessed) {
    return 'No manifest came with this model, so this is a guess. Correct what is wrong: wrong scaling gives wrong scores. What you change is kept in this browser, for this model.';
  }
  return own
    ? 'Your settings, kept in this browser for this model.'
    : 'From the manifest that was chosen with the model.';
}
