/** The visit: which pictures there are, what is asked about them, and what is shown. It asks the engine for one thing at a time and always for the newest wish. */
import { EngineClient, EngineLost, Stopped, type Following } from './engine/client.ts';
import { kept, remember } from './kept.ts';
import type {
  AnswerOf,
  Kind,
  Look,
  ModelSource,
  PictureFile,
  Progress,
  RequestOf,
  ShippedModel,
} from './protocol.ts';
import { Comparison } from './session/comparison.ts';
import { explain } from './session/trouble.ts';
import {
  bare,
  nameOf,
  NO_QUESTION,
  options,
  withModel,
  type LoadedModel,
  type OwnModel,
  type Phase,
  type Picture,
  type Painted,
  type Question,
  type Shown,
  type Sight,
} from './session/visit.ts';
import type { Applied, ExplainOptions, Manifest, Report } from './types.ts';

export class Session {
  phase: Phase = 'loading';
  loaded: LoadedModel | null = null;
  pictures: Picture[] = [];
  active: Picture | null = null;
  shown: Shown | null = null;
  progress: Progress | null = null;
  problems: string[] = [];
  question: Question = NO_QUESTION;
  look: Look;

  sight: Sight = { layout: 'overlay', contour: 0, outline: true, peak: true };
  /** The visitor's own models of this visit, newest first. */
  owned: OwnModel[] = [];
  /** The second explanation that the shown one is compared with. */
  comparison: Comparison | null = null;

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
      this.#tell();
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
    for (const picture of this.pictures) Object.assign(picture, { scored: null, stale: false });
    if (model.labels.length !== loaded.model.labels.length) {
      for (const picture of this.pictures) picture.class = null;
      this.question = { ...this.question, contrast: null };
    }
    this.#attempted = '';
  }

  /** Takes pictures in; the first of them is shown next. */
  add(files: File[]): void {
    if (files.length === 0) return;
    const added = files.map((file) => ({
      key: ++this.#keys,
      file,
      scored: null,
      window: null,
      stale: false,
      class: null,
    }));
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
    this.#hide();
    this.problems = [];
    this.#attempted = '';
    this.#outcome = 'nothing';
    void this.#work();
  }

  /** Shows a picture's values through another window and scores it again: the network sees what is shown. */
  seeThrough(picture: Picture, window: Applied | null): void {
    picture.window = window;
    picture.stale = picture.scored !== null;
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
    this.#tell();
  }

  lookAt(sight: Partial<Sight>): void {
    this.sight = { ...this.sight, ...sight };
    this.#tell();
  }

  /** Sets a second explanation beside the first, or puts it away with the engine that made it. */
  compare(on: boolean): void {
    if (on === (this.comparison !== null)) return;
    this.comparison?.end();
    this.comparison = on ? new Comparison(this, this.#companions, this.#changed) : null;
    this.#tell();
  }

  /** Says that something outside the engine went wrong. */
  complain(message: string): void {
    this.problems.push(message);
    this.#settle();
  }

  dismissProblems(): void {
    this.problems = [];
    this.#tell();
  }

  /** Ends whatever the engine is doing; only where it does not end soon it is started again. */
  stop(): void {
    this.#client.interrupt('it was stopped');
  }

  report(): Report | null {
    return this.shown?.explanation.report ?? null;
  }

  /** Asks the engine for something beside the pictures' scores and maps. What fails is said under `name`, and null comes back. */
  async request<K extends Kind>(
    name: string,
    kind: K,
    request: RequestOf<K>,
    following: Following = {},
  ): Promise<AnswerOf<K> | null> {
    try {
      return await this.#client.ask(kind, request, following);
    } catch (error) {
      if (error instanceof Stopped) return null;
      await this.#failed(name, error);
      this.#settle();
      return null;
    }
  }

  /** As {@link request}, for what a visitor may well ask wrongly: a refusal comes back and is not complained of. */
  async try<K extends Kind>(kind: K, request: RequestOf<K>): Promise<AnswerOf<K> | Error> {
    try {
      return await this.#client.ask(kind, request);
    } catch (error) {
      const refusal = error instanceof Error ? error : new Error(String(error));
      if (error instanceof EngineLost) {
        await this.#failed('the engine', error);
        this.#settle();
      }
      return refusal;
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
        this.#tell();
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
    if (active?.stale) return () => this.#rescore(active);
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

  /** Scores and shows a picture through the window of this moment: while it is dragged, the next one is there before the answer is. */
  async #rescore(picture: Picture): Promise<void> {
    const file = bare(picture);
    const model = this.loaded;
    try {
      const scored = await this.#client.ask('score', { picture: file });
      if (this.loaded !== model) return;
      picture.scored?.thumb.close();
      picture.scored = scored;
      picture.stale = picture.window !== file.window;
      if (this.active === picture) await this.#view(picture, scored, file);
    } catch (error) {
      Object.assign(picture, { window: null, stale: file.window !== null });
      await this.#failed(picture.file.name, error);
    }
  }

  async #view(
    picture: Picture,
    scored: NonNullable<Picture['scored']>,
    file: PictureFile = bare(picture),
  ): Promise<void> {
    const model = this.loaded;
    const wanted = this.#options(picture);
    if (!model || !wanted) return;
    this.#attempted = this.#wish(picture, file.window);
    const request = { picture: file, options: wanted };
    try {
      const { stamp, ...answer } = await this.#client.ask('view', request);
      const before = this.shown?.painted ?? null;
      const painted =
        before?.stamp === stamp
          ? before
          : await this.#client.ask('pixels', { picture: request.picture });
      // The visitor may be looking at something else by now.
      if (this.active !== picture || this.loaded !== model) {
        if (painted !== before) release(painted);
        return;
      }
      this.shown = { picture, opened: scored.opened, ...answer, options: wanted, painted };
      this.#outcome = 'shown';
      if (before === painted) return;
      // Bitmaps are not the garbage collector's to weigh: they go as soon as nobody draws them.
      this.#tell();
      release(before);
    } catch (error) {
      this.#outcome = 'failed';
      if (this.shown?.picture !== picture) this.#hide();
      await this.#failed(picture.file.name, error);
    } finally {
      this.progress = null;
    }
  }

  #hide(): void {
    const painted = this.shown?.painted ?? null;
    this.shown = null;
    this.#tell();
    release(painted);
  }

  async #load(source: ModelSource, again: boolean): Promise<void> {
    this.#loading = true;
    this.progress = null;
    this.phase = 'loading';
    this.#tell();
    try {
      const answer = await this.#client.ask('load', { source, companions: this.#companions });
      this.loaded = { source, ...answer, own: false };
      if (source.kind === 'files') this.owned = withModel(this.owned, source);
      this.question = NO_QUESTION;
      for (const picture of this.pictures) {
        Object.assign(picture, { scored: null, stale: false, class: null });
      }
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

  #wish(picture: Picture, window = picture.window): string {
    return JSON.stringify([picture.key, window, this.#options(picture)]);
  }

  #options(picture: Picture): ExplainOptions | null {
    const question = { ...this.question, class: picture.class };
    return this.loaded && options(picture, question, this.loaded);
  }

  /** Brings the phase in line with what is going on, and tells the page. */
  #settle(): void {
    if (this.#loading) this.phase = 'loading';
    else if (this.#busy || this.#next()) this.phase = 'running';
    else if (this.#outcome === 'failed' || (!this.loaded && this.problems.length > 0)) {
      this.phase = 'error';
    } else if (!this.loaded) this.phase = 'loading';
    else this.phase = this.shown ? 'done' : 'ready';
    this.#tell();
  }

  #tell(): void {
    this.comparison?.follow();
    this.#changed();
  }
}

function release(painted: Painted | null): void {
  painted?.picture.close();
  painted?.seen.close();
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
