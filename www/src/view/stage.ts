/** The picture with the heat map over it, at the picture's own size, and the sentence that says the same in words. */
import type { Session } from '../session.ts';
import type { Shown } from '../session/visit.ts';
import { need, paint, say } from './dom.ts';
import { percent } from './text.ts';

export class StageView {
  readonly #invitation = need('invitation', HTMLElement);
  readonly #figure = need('figure', HTMLElement);
  readonly #frame = need('frame', HTMLElement);
  readonly #canvas = need('overlay', HTMLCanvasElement);
  readonly #peak = need('peak', HTMLElement);
  readonly #empty = need('empty', HTMLElement);
  readonly #crop = need('crop', SVGSVGElement);
  readonly #shade = need('crop-shade', SVGPathElement);
  readonly #edge = need('crop-edge', SVGRectElement);
  readonly #toggle = need('crop-toggle', HTMLInputElement);
  #drawn: Shown | null = null;

  constructor() {
    this.#toggle.addEventListener('change', () => this.#outline());
  }

  update(session: Session): void {
    const { shown } = session;
    if (shown === this.#drawn) return;
    this.#drawn = shown;
    this.#invitation.hidden = shown !== null;
    this.#figure.hidden = shown === null;
    if (!shown) {
      say(this.#peak, '');
      this.#empty.hidden = true;
      return;
    }
    const { width, height } = shown.opened;
    paint(this.#canvas, shown.overlay, width, height);
    this.#frame.style.setProperty('--ratio', String(width / height));
    const words = sentence(session, shown);
    say(this.#peak, words);
    this.#canvas.setAttribute('aria-label', `${shown.opened.name}. ${words}`);
    const { empty } = shown.explanation;
    this.#empty.hidden = empty === null;
    say(this.#empty, empty ?? '');
    this.#outline();
  }

  /** Shades what the network did not see. */
  #outline(): void {
    const shown = this.#drawn;
    if (!shown) return;
    const { width, height, region } = shown.opened;
    const whole = region.width === width && region.height === height;
    this.#crop.toggleAttribute('hidden', whole || !this.#toggle.checked);
    this.#toggle.disabled = whole;
    this.#crop.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const right = region.x + region.width;
    const bottom = region.y + region.height;
    this.#shade.setAttribute(
      'd',
      `M0 0H${width}V${height}H0ZM${region.x} ${region.y}H${right}V${bottom}H${region.x}Z`,
    );
    for (const [name, value] of Object.entries(region)) {
      this.#edge.setAttribute(name, String(value));
    }
  }
}

function sentence({ loaded }: Session, { opened, explanation }: Shown): string {
  const { report, peak } = explanation;
  const { explained } = report;
  const label = loaded?.model.labels.find(({ index }) => index === explained.index);
  const score = opened.scores.find(({ index }) => index === explained.index);
  const share = score?.probability == null ? '' : ` (${percent(score.probability)})`;
  const method = loaded?.catalogue.methods.find(({ id }) => id === report.method);
  const other = loaded?.model.labels.find(({ id }) => id === explained.contrast);
  const against = other ? ` rather than ${other.name}` : '';
  const subject = `${method?.name ?? report.method} for ${label?.name ?? explained.label}${share}${against}`;
  return peak
    ? `${subject} is highest at the ${peak.words} of the picture as shown.`
    : `${subject} has no highest place.`;
}
