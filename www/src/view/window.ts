/** The window that a picture's values are seen through: fields, sliders, presets, and dragging on the picture as viewers do. */
import type { Session } from '../session.ts';
import type { Picture } from '../session/visit.ts';
import type { Applied, Levels } from '../types.ts';
import { make, need, say } from './dom.ts';

interface Span {
  center: number;
  width: number;
}

/** Entries of the menu that are no preset. */
const OWN = 'own';
const BY_HAND = 'hand';

export class WindowView {
  readonly #section = need('levels', HTMLElement);
  readonly #preset = need('levels-preset', HTMLSelectElement);
  readonly #center = need('levels-center', HTMLInputElement);
  readonly #width = need('levels-width', HTMLInputElement);
  readonly #centerSlider = need('levels-center-slider', HTMLInputElement);
  readonly #widthSlider = need('levels-width-slider', HTMLInputElement);
  readonly #drag = need('levels-drag', HTMLButtonElement);
  readonly #reset = need('levels-reset', HTMLButtonElement);
  readonly #facts = need('levels-facts', HTMLElement);
  readonly #note = need('levels-note', HTMLElement);
  readonly #stage = need('panels', HTMLElement);
  readonly #session: Session;
  #of: Picture | null = null;
  #levels: Levels | null = null;
  /** What is wished for and not answered yet. */
  #wish: Span | null = null;

  constructor(session: Session) {
    this.#session = session;
    for (const name of ['input', 'change']) {
      for (const field of [this.#center, this.#width]) {
        field.addEventListener(name, () => this.#byHand(this.#center, this.#width));
      }
      for (const slider of [this.#centerSlider, this.#widthSlider]) {
        slider.addEventListener(name, () => this.#byHand(this.#centerSlider, this.#widthSlider));
      }
    }
    this.#preset.addEventListener('change', () => {
      const chosen = this.#levels?.presets[Number(this.#preset.value)];
      if (chosen) this.#apply(chosen.applied);
      else if (this.#preset.value === OWN) this.#apply(null);
    });
    this.#reset.addEventListener('click', () => this.#apply(null));
    this.#drag.addEventListener('click', () => this.#drags(!this.#dragging));
    document.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape' && this.#dragging) this.#drags(false);
    });
    this.#takePointers();
  }

  update({ shown, active }: Session): void {
    // What is active and not shown yet has no levels to speak of.
    const picture = shown?.picture === active ? active : null;
    const levels = picture?.scored?.opened.levels ?? null;
    const note = shown?.opened.note;
    say(this.#note, note ? `This is ${note}.` : '');
    this.#note.hidden = !note;
    this.#section.hidden = levels === null;
    if (!levels || !picture) {
      this.#drags(false);
      this.#of = null;
      return;
    }
    if (this.#of === picture && this.#levels === levels) return;
    if (this.#of !== picture) this.#begin(levels);
    this.#of = picture;
    this.#levels = levels;
    if (!picture.stale) this.#wish = null;
    this.#show(levels);
  }

  /** Sets up the fields for another picture. */
  #begin({ low, high, units, presets }: Levels): void {
    this.#wish = null;
    const own = make('option', { value: OWN }, 'the file’s own');
    const hand = make('option', { value: BY_HAND, disabled: true }, 'by hand');
    this.#preset.replaceChildren(
      own,
      ...presets.map(({ name }, index) => make('option', { value: String(index) }, name)),
      hand,
    );
    const span = Math.max(high - low, 1);
    const step = span > 100 ? 1 : span / 1000;
    const bounds: [HTMLInputElement, number, number][] = [
      [this.#centerSlider, low - span / 2, high + span / 2],
      [this.#widthSlider, Math.min(step, 1), 2 * span],
    ];
    for (const [slider, min, max] of bounds) {
      Object.assign(slider, { min: String(min), max: String(max), step: String(step) });
    }
    const unit = units ? ` ${units}` : '';
    say(this.#facts, `Values from ${plain(low)} to ${plain(high)}${unit}.`);
  }

  #show(levels: Levels): void {
    const { center, width } = this.#wish ?? spanOf(levels);
    for (const [field, value] of [
      [this.#center, center],
      [this.#width, width],
    ] as const) {
      if (document.activeElement !== field) field.value = plain(value);
    }
    this.#centerSlider.valueAsNumber = center;
    this.#widthSlider.valueAsNumber = width;
    const same = levels.presets.findIndex(
      ({ applied }) => JSON.stringify(applied) === JSON.stringify(levels.applied),
    );
    this.#preset.value = this.#of?.window === null ? OWN : same >= 0 ? String(same) : BY_HAND;
    this.#reset.disabled = this.#of?.window === null;
  }

  #byHand(center: HTMLInputElement, width: HTMLInputElement): void {
    this.#set({ center: center.valueAsNumber, width: width.valueAsNumber });
  }

  #set({ center, width }: Span): void {
    if (!this.#levels || !Number.isFinite(center) || !(width > 0)) return;
    const least = this.#levels.function === 'linear' ? 1 : Number.MIN_VALUE;
    this.#wish = { center, width: Math.max(width, least) };
    this.#show(this.#levels);
    this.#apply({ ...this.#wish, function: this.#levels.function });
  }

  #apply(applied: Applied | null): void {
    if (!this.#of) return;
    if (applied === null || 'table' in applied) this.#wish = null;
    this.#session.seeThrough(this.#of, applied);
  }

  get #dragging(): boolean {
    return this.#stage.hasAttribute('data-window');
  }

  #drags(drags: boolean): void {
    this.#stage.toggleAttribute('data-window', drags);
    this.#drag.setAttribute('aria-pressed', String(drags));
  }

  /** To the right is wider, upwards is brighter: the centre goes down. */
  #takePointers(): void {
    let from: { x: number; y: number; span: Span } | null = null;
    const capture = { capture: true };
    this.#stage.addEventListener(
      'pointerdown',
      (event) => {
        if (!this.#dragging || event.button !== 0 || !this.#levels) return;
        event.preventDefault();
        event.stopPropagation();
        this.#stage.setPointerCapture(event.pointerId);
        from = { x: event.clientX, y: event.clientY, span: this.#wish ?? spanOf(this.#levels) };
      },
      capture,
    );
    this.#stage.addEventListener(
      'pointermove',
      (event) => {
        if (!from || !this.#levels) return;
        event.preventDefault();
        event.stopPropagation();
        const { width, height } = this.#stage.getBoundingClientRect();
        const range = Math.max(this.#levels.high - this.#levels.low, 1);
        const right = (event.clientX - from.x) / width;
        const down = (event.clientY - from.y) / height;
        this.#set({
          center: rounded(from.span.center + down * range, range),
          width: Math.max(rounded(from.span.width + right * range, range), range / 1000),
        });
      },
      capture,
    );
    for (const name of ['pointerup', 'pointercancel', 'lostpointercapture'] as const) {
      this.#stage.addEventListener(name, () => (from = null), capture);
    }
  }
}

/** The window that is applied, or the one that amounts to it. */
function spanOf({ applied, low, high }: Levels): Span {
  if (applied && 'center' in applied) return applied;
  // Values of a 16-bit picture as they are: black is 0, white 65535.
  if (!applied) return { center: 32768, width: 65536 };
  return { center: (low + high) / 2, width: high - low + 1 };
}

/** Whole numbers, where the values have a range for it. */
function rounded(value: number, range: number): number {
  return range > 100 ? Math.round(value) : Number(value.toPrecision(4));
}

function plain(value: number): string {
  return String(Number(value.toFixed(3)));
}
