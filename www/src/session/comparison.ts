/** The second explanation, B: another class, layer, method or model for the picture that is shown. It has an engine of its own, which ends with the comparing. */
import { EngineClient, EngineLost } from '../engine/client.ts';
import { kept } from '../kept.ts';
import type { ModelSource, Progress, ShippedModel, Similarity } from '../protocol.ts';
import type { Session } from '../session.ts';
import { onOneGrid } from '../view/stage/map.ts';
import { explain } from './trouble.ts';
import {
  bare,
  highest,
  nameOf,
  options,
  type Explained,
  type LoadedModel,
  type Question,
} from './visit.ts';

/** What B is asked; null for the engine's own choice. */
export interface Wish extends Question {
  class: number | null;
  /** Null for the model of A, with A's settings. */
  source: ModelSource | null;
}

export class Comparison {
  phase: 'loading' | 'running' | 'done' | 'error' = 'loading';
  wish: Wish;
  loaded: LoadedModel | null = null;
  shown: Explained | null = null;
  /** How alike the maps of A and B are; null where that cannot be said. */
  similarity: Similarity | null = null;
  progress: Progress | null = null;
  problem = '';

  readonly #session: Session;
  readonly #companions: ShippedModel[];
  readonly #changed: () => void;
  readonly #client: EngineClient;
  #busy = false;
  #ended = false;
  /** What was last tried, kept or refused. */
  #attempted: string | null = null;
  #holds: { source: ModelSource; settings: string | null } | null = null;

  constructor(session: Session, companions: ShippedModel[], changed: () => void) {
    this.#session = session;
    this.#companions = companions;
    this.#changed = changed;
    this.#client = new EngineClient((progress) => {
      this.progress = progress;
      changed();
    });
    // The other of the two classes that matter most, asked as A is: a comparison that says something.
    this.wish = { ...session.question, contrast: null, class: second(session), source: null };
  }

  /** Changes what is asked of B. Another model has other layers and maybe other classes. */
  ask(wish: Partial<Wish>): void {
    const other = 'source' in wish ? { layer: null, layers: [], class: null, target: null } : {};
    this.wish = { ...this.wish, ...other, ...wish };
    this.#changed();
    this.follow();
  }

  /** Brings B in line with what the page shows. */
  follow(): void {
    void this.#work();
  }

  /** Ends B's engine, and with it all the memory it took. */
  end(): void {
    this.#ended = true;
    this.#client.stop('comparing ended');
  }

  async #work(): Promise<void> {
    if (this.#busy || this.#ended) return;
    this.#busy = true;
    try {
      for (let wanted = this.#wanted(); wanted !== null; wanted = this.#wanted()) {
        this.#attempted = wanted;
        this.problem = '';
        await this.#answer();
        if (this.#ended) return;
        this.progress = null;
        this.#changed();
      }
    } finally {
      this.#busy = false;
    }
  }

  /** What is left to do, as a text; null where nothing is. */
  #wanted(): string | null {
    const { shown, loaded } = this.#session;
    if (this.#ended || !shown || !loaded) return null;
    const source = this.wish.source ?? loaded.source;
    const settings = this.wish.source ? null : this.#settings();
    const key = [bare(shown.picture), nameOf(source), settings, this.wish, shown.options];
    const wanted = JSON.stringify(key) + loaded.model.sha256;
    return wanted === this.#attempted ? null : wanted;
  }

  /** A's manifest, where the visitor changed it. */
  #settings(): string | null {
    const { loaded } = this.#session;
    return loaded?.own ? JSON.stringify(loaded.model.manifest) : null;
  }

  async #answer(): Promise<void> {
    const { shown: a, loaded: model } = this.#session;
    if (!a || !model) return;
    const { source: other, ...question } = this.wish;
    const source = other ?? model.source;
    try {
      await this.#hold(source, other ? null : this.#settings());
      this.#enter('running');
      const picture = bare(a.picture);
      const { opened, thumb } = await this.#client.ask('score', { picture });
      thumb.close();
      const asked = options(a.picture, question, this.loaded ?? model);
      const { stamp: _, ...answer } = await this.#client.ask('view', { picture, options: asked });
      const b = { picture: a.picture, opened, ...answer, options: asked };
      this.similarity = await this.#measure(a, b);
      this.shown = b;
      this.phase = 'done';
    } catch (error) {
      if (this.#ended) return;
      if (error instanceof EngineLost) this.#holds = null;
      this.shown = null;
      this.problem = explain(nameOf(source), error);
      this.phase = 'error';
    }
  }

  /** Loads a model, unless it is there. */
  async #hold(source: ModelSource, settings: string | null): Promise<void> {
    if (this.#holds?.source === source && this.#holds.settings === settings) return;
    this.#enter('loading');
    this.#holds = null;
    this.shown = null;
    const loaded = await this.#client.ask('load', { source, companions: this.#companions });
    const { sha256, guessed } = loaded.model;
    const own = settings ?? (guessed ? JSON.stringify(kept(sha256)) : 'null');
    this.loaded = { source, ...loaded, own: own !== 'null' };
    if (this.loaded.own) {
      const { model } = await this.#client.ask('configure', { manifest: own });
      this.loaded = { ...this.loaded, model };
    }
    this.#holds = { source, settings };
  }

  async #measure(a: Explained, b: Explained): Promise<Similarity | null> {
    const maps = onOneGrid(
      { map: a.explanation.report.map, region: a.opened.region },
      { map: b.explanation.report.map, region: b.opened.region },
    );
    return maps && this.#client.ask('similarity', maps);
  }

  #enter(phase: Comparison['phase']): void {
    if (this.phase === phase) return;
    this.phase = phase;
    this.#changed();
  }
}

/** Of A's picture, the class with the highest score that is not the explained one. */
function second({ shown }: Session): number | null {
  if (!shown) return null;
  const explained = shown.options.class ?? highest(shown.picture);
  const others = shown.opened.scores.filter(({ index }) => index !== explained);
  return others.sort((a, b) => b.logit - a.logit)[0]?.index ?? null;
}
