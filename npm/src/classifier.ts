/** An opened model: asks one picture after the other. */
import { Explanation, type Drawn, type Question } from './explanation.ts';
import type { Explainer } from './glue.ts';
import { naming } from './naming.ts';
import { type Bytes, nameOf } from './open.ts';
import type { Explanation as Answer, Label, ModelDescription, OpenedPicture } from './types.ts';

/** What the engine is at: it holds one picture and one map at a time. */
interface At {
  picture: Uint8Array;
  opened: OpenedPicture;
  options: string | null;
}

export class Classifier implements Disposable {
  /** Labels, layers, preprocessing: what it is and how it sees. */
  readonly description: ModelDescription;
  #explainer: Explainer | null;
  #at: At | null = null;
  #last: { of: Bytes; bytes: Uint8Array } | null = null;
  readonly #read: (source: Bytes) => Promise<Uint8Array>;

  /** @internal Use `open`. */
  constructor(explainer: Explainer, read: (source: Bytes) => Promise<Uint8Array>) {
    this.#explainer = explainer;
    this.#read = read;
    this.description = JSON.parse(explainer.describe()) as ModelDescription;
  }

  /**
   * Scores a picture file and explains a score.
   *
   * @throws Error with one line: why the file is no picture, or an unknown class, layer, method or target.
   */
  async explain(picture: Bytes, question: Question = {}): Promise<Explanation> {
    const bytes = this.#last?.of === picture ? this.#last.bytes : await this.#read(picture);
    // A file at a path or an address may be another one by now.
    this.#last = typeof picture === 'string' ? null : { of: picture, bytes };
    const name = question.name ?? nameOf(picture);
    const options = JSON.stringify({
      class: this.#index(question.class),
      contrast: this.#index(question.contrast),
      layer: question.layer ?? null,
      method: question.method ?? null,
      target: question.target ?? null,
    });
    const { opened } = this.#openPicture(name, bytes);
    const answer = JSON.parse(this.#explainPicture(options)) as Answer;
    // The engine may have gone on to another map when this one is drawn: then it makes it again.
    const drawn: Drawn = (draw) => {
      this.#openPicture(name, bytes);
      this.#explainPicture(options);
      return draw(this.#engine());
    };
    return new Explanation(opened, answer, drawn);
  }

  /** Frees the engine's memory of this model; its explanations cannot be drawn any more. */
  dispose(): void {
    this.#explainer?.free();
    this.#explainer = null;
    this.#at = null;
    this.#last = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #openPicture(name: string, picture: Uint8Array): At {
    if (this.#at?.picture === picture && this.#at.opened.name === name) return this.#at;
    this.#at = null;
    const opened = JSON.parse(
      naming(name, () => this.#engine().open(name, picture)),
    ) as OpenedPicture;
    this.#at = { picture, opened, options: null };
    return this.#at;
  }

  #explainPicture(options: string): string {
    if (this.#at?.options === options) return this.#answer;
    if (this.#at) this.#at.options = null;
    this.#answer = this.#engine().explain(options);
    if (this.#at) this.#at.options = options;
    return this.#answer;
  }
  #answer = '';

  #engine(): Explainer {
    if (!this.#explainer) throw new Error(`${this.description.id}: the classifier was disposed of`);
    return this.#explainer;
  }

  #index(wanted: number | string | undefined): number | null {
    if (wanted === undefined || typeof wanted === 'number') return wanted ?? null;
    const labels: Label[] = this.description.labels;
    const found = labels.find(({ id, name }) => id === wanted || name === wanted);
    if (found) return found.index;
    throw new Error(`no class '${wanted}': there are ${labels.map(({ id }) => id).join(', ')}`);
  }
}
