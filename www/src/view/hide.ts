/** "Hide and score again": boxes drawn on the picture or typed in, and what becomes of the scores without what lies under them. */
import type { Fill, Hidden } from '../doubt.ts';
import type { Session } from '../session.ts';
import { bare, type Shown } from '../session/visit.ts';
import type { Region } from '../types.ts';
import { boxBetween, within } from './boxes.ts';
import { Drawing } from './drawing.ts';
import { make, need, paint, say } from './dom.ts';
import { percent, raw, signed } from './text.ts';

const FILLS: Record<Fill, string> = {
  mean: 'the mean colour',
  blur: 'a blur of themselves',
  surroundings: 'what lies around them',
};

const SIDES = ['x', 'y', 'width', 'height'] as const;

export class HideView {
  readonly #section = need('hide', HTMLElement);
  readonly #drawing: Drawing;
  readonly #fields = SIDES.map((side) => need(`hide-${side}`, HTMLInputElement));
  readonly #fill = need('hide-fill', HTMLSelectElement);
  readonly #list = need('hide-boxes', HTMLUListElement);
  readonly #undo = need('hide-undo', HTMLButtonElement);
  readonly #clear = need('hide-clear', HTMLButtonElement);
  readonly #problem = need('hide-problem', HTMLElement);
  readonly #result = need('hide-result', HTMLElement);
  readonly #says = need('hide-says', HTMLElement);
  readonly #body = need('hide-body', HTMLTableSectionElement);
  readonly #seen = need('hide-seen', HTMLCanvasElement);
  readonly #session: Session;
  /** The boxes of the shown picture, after each change. */
  #steps: Region[][] = [[]];
  #of: string | null = null;
  #asking = false;
  #answered = '';

  constructor(session: Session) {
    this.#session = session;
    this.#drawing = new Drawing((from, to) => this.#add(boxBetween(from, to)));
    need('hide-add', HTMLButtonElement).addEventListener('click', () => this.#type());
    this.#undo.addEventListener('click', () => this.#change(this.#steps.slice(0, -1)));
    this.#clear.addEventListener('click', () => this.#change([...this.#steps, []]));
    this.#fill.addEventListener('change', () => void this.#score());
  }

  update(session: Session): void {
    const { shown, loaded } = session;
    this.#section.hidden = shown === null;
    if (this.#fill.options.length === 0) {
      const fills = loaded?.catalogue.fills ?? [];
      this.#fill.append(...fills.map((fill) => make('option', { value: fill }, FILLS[fill])));
    }
    // Boxes are of a picture; what they do is of a model.
    const of = shown ? JSON.stringify([shown.picture.key, loaded?.model.sha256]) : null;
    if (of !== this.#of) {
      this.#of = of;
      if (shown) this.#begin(shown);
      this.#change([[]]);
    }
    if (this.#boxes.length > 0) void this.#score();
  }

  get #boxes(): Region[] {
    return this.#steps.at(-1) ?? [];
  }

  #begin({ opened }: Shown): void {
    this.#drawing.frame(opened.width, opened.height);
    const { region } = opened;
    const suggested = [
      region.x + Math.round(region.width / 4),
      region.y + Math.round(region.height / 4),
      Math.round(region.width / 4),
      Math.round(region.height / 4),
    ];
    for (const [index, field] of this.#fields.entries()) {
      field.value = String(suggested[index] ?? 0);
      field.max = String(index % 2 === 0 ? opened.width : opened.height);
    }
  }

  /** The box of the four fields. */
  #type(): void {
    const [x, y, width, height] = this.#fields.map(({ valueAsNumber }) => valueAsNumber);
    const wrong = this.#fields.find((field) => !field.validity.valid || field.value === '');
    if (
      wrong ||
      x === undefined ||
      y === undefined ||
      width === undefined ||
      height === undefined
    ) {
      say(this.#problem, 'A box has whole numbers of pixels that lie in the picture.');
      wrong?.focus();
      return;
    }
    this.#add({ x, y, width, height });
  }

  #add(box: Region): void {
    const { shown } = this.#session;
    if (!shown) return;
    const inside = within(box, shown.opened.width, shown.opened.height);
    if (!inside) {
      say(this.#problem, 'This box has no pixel of the picture.');
      return;
    }
    this.#change([...this.#steps, [...this.#boxes, inside]]);
  }

  #change(steps: Region[][]): void {
    this.#steps = steps.length > 0 ? steps : [[]];
    const boxes = this.#boxes;
    say(this.#problem, '');
    this.#undo.disabled = this.#steps.length === 1;
    this.#clear.disabled = boxes.length === 0;
    this.#drawing.show(boxes);
    this.#list.replaceChildren(
      ...boxes.map((box, index) => {
        const words = `${box.width} × ${box.height} at ${box.x}, ${box.y}`;
        const remove = make('button', { type: 'button', className: 'plain' }, 'Remove');
        remove.setAttribute('aria-label', `Remove the box ${words}`);
        remove.addEventListener('click', () => {
          this.#change([...this.#steps, boxes.filter((_, at) => at !== index)]);
          this.#undo.focus();
        });
        return make('li', {}, make('span', { className: 'numbers' }, words), remove);
      }),
    );
    void this.#score();
  }

  /** Scores what is hidden now, unless that is what the table shows. */
  async #score(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      for (let wish = this.#wish(); wish !== this.#answered; wish = this.#wish()) {
        const { shown, phase } = this.#session;
        const boxes = this.#boxes;
        if (!shown || boxes.length === 0) {
          this.#result.hidden = true;
          this.#answered = wish;
          continue;
        }
        // The page's own wish comes first; its end calls again.
        if (phase === 'running' || phase === 'loading') return;
        this.#answered = wish;
        const hide = { boxes, fill: this.#fill.value as Fill };
        const picture = bare(shown.picture);
        const answer = await this.#session.try('hide', { picture, hide });
        if (wish !== this.#wish()) continue;
        if (answer instanceof Error) {
          this.#result.hidden = true;
          say(this.#problem, `${sentence(answer.message)}`);
        } else {
          this.#show(shown, answer.hidden);
          const { width, height } = this.#session.loaded?.model.input ?? { width: 0, height: 0 };
          if (answer.seen.length === width * height * 4) {
            paint(this.#seen, answer.seen, width, height);
          }
        }
      }
    } finally {
      this.#asking = false;
    }
  }

  #wish(): string {
    const window = this.#session.shown?.opened.levels?.applied;
    return JSON.stringify([this.#of, window, this.#boxes, this.#fill.value]);
  }

  #show({ opened }: Shown, hidden: Hidden): void {
    this.#result.hidden = false;
    const filled = FILLS[this.#fill.value as Fill];
    const before = (index: number): number =>
      opened.scores.find((score) => score.index === index)?.probability ?? 0;
    const most = hidden.scores.reduce((most, score) => {
      const by = (of: typeof score): number => Math.abs((of.probability ?? 0) - before(of.index));
      return by(score) > by(most) ? score : most;
    });
    say(
      this.#says,
      `With ${percent(hidden.share)} of what the network sees replaced by ${filled}, ${most.name} goes from ${percent(before(most.index))} to ${percent(most.probability ?? 0)}.`,
    );
    this.#body.replaceChildren(
      ...hidden.scores.map(({ index, name, label, probability, logit }) => {
        const was = opened.scores.find((score) => score.index === index);
        const row = make(
          'tr',
          {},
          make('th', { scope: 'row' }, name),
          make('td', {}, percent(was?.probability ?? 0)),
          make('td', {}, percent(probability ?? 0)),
          make('td', {}, signed((probability ?? 0) - (was?.probability ?? 0))),
          make('td', {}, raw(logit - (was?.logit ?? 0))),
        );
        row.dataset['label'] = label;
        row.dataset['probability'] = String(probability ?? '');
        return row;
      }),
    );
  }
}

/** A line of the engine's as a sentence. */
function sentence(line: string): string {
  return `${line.charAt(0).toUpperCase()}${line.slice(1)}${line.endsWith('.') ? '' : '.'}`;
}
