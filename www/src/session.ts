/** The visit: which pictures there are, what is asked about them, and what is shown. It asks the engine for one thing at a time and always for the newest wish. */
import { EngineClient, EngineLost } from './engine/client.ts';
import { kept, remember } from './kept.ts';
import type { Look, ModelSource, Pixels, Progress, ShippedModel } from './protocol.ts';
import { sign } from './signer.ts';
import type {
  Catalogue,
  ExplainOptions,
  Explanation,
  Manifest,
  ModelDescription,
  OpenedPicture,
  Report,
} from './types.ts';

export type Phase = 'loading' | 'ready' | 'running' | 'done' | 'error';

export interface Picture {
  readonly key: number;
  readonly file: File;
  /** Null until the engine has scored it. */
  scored: { opened: OpenedPicture; thumb: ImageBitmap } | null;
  /** The class to explain; null for the one with the highest score. */
  class: number | null;
}

/** What is asked about every picture; null for the engine's own choice. */
export interface Question {
  contrast: number | null;
  layer: string | null;
  method: string | null;
  target: string | null;
}

/** A picture with its map, as it is on the page now. */
export interface Shown {
  picture: Picture;
  opened: OpenedPicture;
  seen: Pixels;
  explanation: Explanation;
  overlay: Pixels;
  legend: Pixels;
  options: ExplainOptions;
  look: Look;
}

export interface LoadedModel {
  source: ModelSource;
  model: ModelDescription;
  catalogue: Catalogue;
  version: string;
  /** Whether the settings are the visitor's own of an earlier visit or of this one. */
  own: boolean;
}

export class Session {
  phase: Phase = 'loading';
  loaded: LoadedModel | null = null;
  pictures: Picture[] = [];
  active: Picture | null = null;
  shown: Shown | null = null;
  progress: Progress | null = null;
  problems: string[] = [];
  question: Question = { contrast: null, layer: null, method: null, target: null };
  look: Look;

  readonly #companions: ShippedModel[];
  readonly #client: EngineClient;
  readonly #changed: () => void;
  #keys = 0;
  #loading = false;
  #busy = false;
  /** The wish that was last sent, kept or refused; it is not sent again. */
  #attempted = '';
  #outcome: 'nothing' | 'shown' | 'failed' = 'nothing';

  /** `companions` are the segmenters that a model's manifest may ask for. */
  constructor(look: Look, companions: ShippedModel[], changed: () => void) {
    this.look = look;
    this.#companions = companions;
    this.#changed = changed;
    this.#client = new EngineClient((progress) => {
      this.progress = progress;
      this.#changed();
    });
  }

  async loadModel(source: ModelSource): Promise<void> {
    if (this.#loading) return;
    this.problems = [];
    await this.#load(source, true);
    void this.#work();
  }

  /** Gives the loaded model other settings and keeps them for the next time it is opened; returns why not. */
  async configure(manifest: Manifest): Promise<string | null> {
    const { loaded } = this;
    if (!loaded || this.#loading) return 'The model is still loading.';
    this.#loading = true;
    this.#settle();
    try {
      await this.#adopt(loaded, manifest);
      remember(loaded.model.sha256, manifest);
      return null;
    } catch (error) {
      if (error instanceof EngineLost) {
        this.#loading = false;
        await this.#failed(nameOf(loaded.source), error);
      }
      return error instanceof Error ? error.message : String(error);
    } finally {
      this.#loading = false;
      void this.#work();
    }
  }

  /** Forgets the visitor's own settings of the loaded model. */
  async forget(): Promise<void> {
    const source = this.loaded?.source;
    if (source?.kind !== 'files' || !this.loaded) return;
    remember(this.loaded.model.sha256, null);
    await this.loadModel({ ...source, manifest: null, labels: null });
  }

  /** The labels that a text holds. */
  async labels(text: string): Promise<Manifest['labels']> {
    return (await this.#client.ask('labels', { text })).labels;
  }

  async #adopt(loaded: LoadedModel, manifest: Manifest): Promise<void> {
    const { model } = await this.#client.ask('configure', { manifest: JSON.stringify(manifest) });
    this.loaded = { ...loaded, model, own: true };
    for (const picture of this.pictures) picture.scored = null;
    if (model.labels.length !== loaded.model.labels.length) {
      for (const picture of this.pictures) picture.class = null;
      this.question = { ...this.question, contrast: null };
    }
    this.#attempted = '';
  }

  /** Takes pictures in; the first of them is shown next. */
  add(files: File[]): void {
    if (files.length === 0) return;
    const added = files.map((file) => ({ key: ++this.#keys, file, scored: null, class: null }));
    this.problems = [];
    this.pictures.push(...added);
    this.active = added[0] ?? null;
    void this.#work();
  }

  select(picture: Picture): void {
    this.active = picture;
    void this.#work();
  }

  clear(): void {
    this.pictures = [];
    this.active = null;
    this.shown = null;
    this.problems = [];
    this.#attempted = '';
    this.#outcome = 'nothing';
    void this.#work();
  }

  chooseClass(index: number): void {
    if (this.active) this.active.class = index;
    void this.#work();
  }

  ask(question: Partial<Question>): void {
    this.question = { ...this.question, ...question };
    void this.#work();
  }

  lookThrough(look: Partial<Look>): void {
    this.look = { ...this.look, ...look };
    void this.#work();
  }

  /** Says that something outside the engine went wrong. */
  complain(message: string): void {
    this.problems.push(message);
    this.#settle();
  }

  dismissProblems(): void {
    this.problems = [];
    this.#changed();
  }

  /** Ends whatever the engine is doing; it is started again. */
  stop(): void {
    this.#client.stop('it was stopped');
  }

  report(): Report | null {
    return this.shown?.explanation.report ?? null;
  }

  /** The loaded model's gradient graph at the chosen layer and, with `input`, at the pixels: an ONNX file. */
  async gradientGraph(input: boolean): Promise<Uint8Array<ArrayBuffer> | null> {
    if (!this.loaded) return null;
    try {
      return (await this.#client.ask('graph', { layer: this.question.layer, input })).bytes;
    } catch (error) {
      await this.#failed(nameOf(this.loaded.source), error);
      this.#settle();
      return null;
    }
  }

  /** The current report with this browser's signature. */
  async signedReport(): Promise<Report | null> {
    const report = this.report();
    if (!report) return null;
    try {
      const { bytes } = await this.#client.ask('canonical', { report: JSON.stringify(report) });
      return { ...report, signature: await sign(bytes) };
    } catch (error) {
      await this.#failed('the signature', error);
      this.#settle();
      return null;
    }
  }

  /** The file of what is shown, as the engine writes it. */
  async save(what: 'overlay' | 'figure' | 'map'): Promise<Uint8Array<ArrayBuffer> | null> {
    if (!this.shown) return null;
    const { picture, options, look } = this.shown;
    try {
      const answer = await this.#client.ask('save', {
        picture: bare(picture),
        options,
        look,
        what,
      });
      return answer.bytes;
    } catch (error) {
      await this.#failed(picture.file.name, error);
      this.#settle();
      return null;
    }
  }

  /** Does what is left to do, newest wish first, until nothing is. */
  async #work(): Promise<void> {
    this.#settle();
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let task = this.#next(); task; task = this.#next()) {
        this.#settle();
        await task();
        this.#changed();
        await breath();
      }
    } finally {
      this.#busy = false;
      this.#settle();
    }
  }

  #next(): (() => Promise<void>) | null {
    if (this.#loading || !this.loaded) return null;
    const { active } = this;
    if (active && !active.scored) return () => this.#score(active);
    if (active?.scored && this.#wish(active) !== this.#attempted) {
      const { scored } = active;
      return () => this.#view(active, scored);
    }
    const waiting = this.pictures.find((picture) => !picture.scored);
    return waiting ? () => this.#score(waiting) : null;
  }

  async #score(picture: Picture): Promise<void> {
    const model = this.loaded;
    try {
      const scored = await this.#client.ask('score', { picture: bare(picture) });
      if (this.loaded === model) picture.scored = scored;
    } catch (error) {
      this.pictures = this.pictures.filter((other) => other !== picture);
      if (this.active === picture) {
        this.active = this.pictures.find((other) => !other.scored) ?? this.shown?.picture ?? null;
        this.#outcome = 'failed';
      }
      await this.#failed(picture.file.name, error);
    }
  }

  async #view(picture: Picture, scored: NonNullable<Picture['scored']>): Promise<void> {
    const options = this.#options(picture);
    const { look, loaded: model } = this;
    this.#attempted = this.#wish(picture);
    try {
      const answer = await this.#client.ask('view', { picture: bare(picture), options, look });
      // The visitor may be looking at something else by now.
      if (this.active !== picture || this.loaded !== model) return;
      this.shown = { picture, opened: scored.opened, ...answer, options, look };
      this.#outcome = 'shown';
    } catch (error) {
      this.#outcome = 'failed';
      if (this.shown?.picture !== picture) this.shown = null;
      await this.#failed(picture.file.name, error);
    } finally {
      this.progress = null;
    }
  }

  async #load(source: ModelSource, again: boolean): Promise<void> {
    this.#loading = true;
    this.progress = null;
    this.phase = 'loading';
    this.#changed();
    try {
      const answer = await this.#client.ask('load', { source, companions: this.#companions });
      this.loaded = { source, ...answer, own: false };
      this.question = { contrast: null, layer: null, method: null, target: null };
      for (const picture of this.pictures) Object.assign(picture, { scored: null, class: null });
      this.#attempted = '';
      this.#outcome = this.active ? this.#outcome : 'nothing';
      const settings = this.loaded.model.guessed ? kept(this.loaded.model.sha256) : null;
      if (settings) {
        // Settings that no longer fit are as good as none: the guess stays.
        await this.#adopt(this.loaded, settings).catch((error: unknown) => {
          if (error instanceof EngineLost) throw error;
        });
      }
    } catch (error) {
      this.#outcome = 'failed';
      this.problems.push(explain(nameOf(source), error));
      if (error instanceof EngineLost && again) {
        // A broken engine took the model before this one with it.
        const before = this.loaded?.source ?? null;
        this.loaded = null;
        if (before) await this.#load(before, false);
      }
    } finally {
      this.#loading = false;
      this.progress = null;
      this.#settle();
    }
  }

  async #failed(name: string, error: unknown): Promise<void> {
    this.problems.push(explain(name, error));
    const { loaded } = this;
    if (!(error instanceof EngineLost) || !loaded) return;
    const { question } = this;
    const scored = this.pictures.map((picture) => ({ picture, was: { ...picture } }));
    const attempted = this.#attempted;
    await this.#load(loaded.source, false);
    this.#outcome = 'failed';
    // The same model again: what was known stays known, and what broke it is not tried again.
    this.question = question;
    for (const { picture, was } of scored) Object.assign(picture, was);
    this.#attempted = attempted;
  }

  #options(picture: Picture): ExplainOptions {
    const { contrast, ...question } = this.question;
    return {
      class: picture.class,
      contrast: contrast === (picture.class ?? highest(picture)) ? null : contrast,
      ...question,
    };
  }

  #wish(picture: Picture): string {
    return JSON.stringify([picture.key, this.#options(picture), this.look]);
  }

  /** Brings the phase in line with what is going on, and tells the page. */
  #settle(): void {
    if (this.#loading) this.phase = 'loading';
    else if (this.#busy || this.#next()) this.phase = 'running';
    else if (this.#outcome === 'failed' || (!this.loaded && this.problems.length > 0)) {
      this.phase = 'error';
    } else if (!this.loaded) this.phase = 'loading';
    else this.phase = this.shown ? 'done' : 'ready';
    this.#changed();
  }
}

/** The class with the highest score. */
export function highest(picture: Picture): number {
  const scores = picture.scored?.opened.scores ?? [];
  return scores.reduce((best, score) => (score.logit > best.logit ? score : best), {
    index: 0,
    logit: -Infinity,
  }).index;
}

function bare({ key, file }: Picture): { key: number; file: File } {
  return { key, file };
}

function nameOf(source: ModelSource): string {
  return source.kind === 'shipped' ? source.name : source.model.name;
}

/** One line that names the file and says why. */
function explain(name: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof EngineLost) {
    return `${name}: the engine gave up on it (${message}) and was started again.`;
  }
  return message.includes(name) ? message : `${name}: ${message}`;
}

/** A frame of rest, so that the page can be painted; a hidden page has no frames. */
function breath(): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 50);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
