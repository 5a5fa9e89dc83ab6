/** The stage: the picture with its heat map, alone, side by side, under a divider, or beside a second one; all panels move together. */
import type { Session } from '../../session.ts';
import { colorsOf, type Explained, type Layout, type Shown } from '../../session/visit.ts';
import { need, say } from '../dom.ts';
import { WHOLE, type Camera, type Point } from './camera.ts';
import { contour } from './contour.ts';
import { drawHeat, drawNothing, drawOverlay, drawPicture, Heat } from './draw.ts';
import { layHands, type Held } from './hands.ts';
import type { Marks } from './marks.ts';
import { Outline } from './outline.ts';
import { Panel } from './panel.ts';
import { Swipe } from './swipe.ts';
import { reading, sentence, subject } from './words.ts';

export class StageView implements Held {
  camera: Camera = WHOLE;
  cursor: Point | null = null;

  readonly #invitation = need('invitation', HTMLElement);
  readonly #figure = need('figure', HTMLElement);
  readonly #row = need('panels', HTMLElement);
  readonly #peak = need('peak', HTMLElement);
  readonly #empty = need('empty', HTMLElement);
  readonly #readout = need('readout', HTMLElement);
  readonly #spoken = need('readout-spoken', HTMLElement);
  readonly #main = new Panel(need('panel-main', HTMLElement), 'overlay');
  readonly #picture = new Panel(null, 'picture');
  readonly #heat = new Panel(null, 'heat');
  readonly #other = new Panel(null, 'other');
  readonly #swipe = new Swipe(this.#main);
  readonly #outline = new Outline();
  readonly #heats = { a: new Heat(), b: new Heat() };
  readonly #session: Session;
  readonly #moved: () => void;
  #drawn: unknown[] = [];

  /** `moved` is told of every change of the camera. */
  constructor(session: Session, moved: () => void) {
    this.#session = session;
    this.#moved = moved;
    this.#row.prepend(this.#picture.root, this.#heat.root);
    this.#row.append(this.#other.root);
    for (const { window } of this.#panels) layHands(window, this);
  }

  move(camera: Camera): void {
    this.camera = camera;
    for (const panel of this.#panels) panel.look(camera);
    this.#moved();
  }

  point(at: Point | null, spoken: boolean): void {
    this.cursor = at;
    for (const panel of this.#panels) panel.cursor(at);
    this.#read(spoken);
  }

  update(session: Session): void {
    const { shown, look, sight, comparison, loaded } = session;
    const wanted = [shown, look, sight, comparison, comparison?.shown, comparison?.phase, loaded];
    if (wanted.every((value, at) => value === this.#drawn[at])) return;
    const [before] = this.#drawn as [Shown | null | undefined];
    this.#drawn = wanted;
    this.#invitation.hidden = shown !== null;
    this.#figure.hidden = shown === null;
    this.#empty.hidden = !shown?.explanation.empty;
    say(this.#empty, shown?.explanation.empty ?? '');
    const side = comparison ? 'A: ' : '';
    say(this.#peak, shown ? `${side}${sentence(loaded, shown)}` : '');
    if (!shown) {
      this.#letGo();
      return;
    }
    if (before?.picture !== shown.picture) {
      this.point(null, false);
      this.move(WHOLE);
    }
    this.#draw(shown, comparison ? comparison.shown : null);
    this.#read(false);
  }

  get #panels(): Panel[] {
    return [this.#picture, this.#heat, this.#main, this.#other];
  }

  #draw(a: Shown, b: Explained | null): void {
    const { comparison } = this.#session;
    const layout = layoutOf(this.#session);
    const three = !comparison && layout === 'side';
    this.#picture.root.hidden = !three;
    this.#heat.root.hidden = !three;
    this.#other.root.hidden = !comparison || layout === 'swipe';
    this.#row.dataset['panels'] = three ? '3' : this.#other.root.hidden ? '1' : '2';
    for (const panel of this.#panels) panel.shape(a.opened);
    for (const { marks } of [this.#heat, this.#main]) this.#mark(marks, a);
    this.#drawA(a, three);
    this.#drawB(a, b);
    this.#outline.update(a, this.#session.sight.outline);
    this.#under(a, b, layout);
  }

  #drawA(a: Shown, three: boolean): void {
    const { look, loaded, comparison } = this.#session;
    const heat = this.#colored(this.#heats.a, a);
    drawOverlay(this.#main.canvas, a.painted.picture, heat, a, look.opacity);
    const words = `${a.opened.name}. ${sentence(loaded, a)}`;
    const title = comparison ? `A: ${subject(loaded, a)}` : three ? 'Overlay' : '';
    this.#main.title(title, words);
    if (three) {
      drawPicture(this.#picture.canvas, a.painted.picture);
      drawHeat(this.#heat.canvas, heat, a);
    } else {
      drawNothing(this.#picture.canvas);
      drawNothing(this.#heat.canvas);
    }
    this.#picture.title('Picture', a.opened.name);
    this.#heat.title('Heat map', words);
  }

  #drawB(a: Shown, b: Explained | null): void {
    const { look, comparison } = this.#session;
    if (!comparison) {
      drawNothing(this.#other.canvas);
      this.#heats.b.clear();
      return;
    }
    if (!b || b.picture !== a.picture) {
      drawPicture(this.#other.canvas, a.painted.picture);
      this.#other.marks.show(a.opened, '', null);
      this.#other.title('B', `${a.opened.name}. The second explanation is not there yet.`);
      return;
    }
    const heat = this.#colored(this.#heats.b, b);
    drawOverlay(this.#other.canvas, a.painted.picture, heat, b, look.opacity);
    this.#mark(this.#other.marks, b);
    const words = `${b.opened.name}. ${sentence(comparison.loaded, b)}`;
    this.#other.title(`B: ${subject(comparison.loaded, b)}`, words);
  }

  /** What the divider uncovers: the picture, or B. */
  #under(a: Shown, b: Explained | null, layout: Layout): void {
    const { comparison, loaded } = this.#session;
    if (layout !== 'swipe') {
      this.#swipe.show(null);
      drawNothing(this.#swipe.under);
      return;
    }
    if (comparison) {
      drawPicture(this.#swipe.under, a.painted.picture)?.drawImage(this.#other.canvas, 0, 0);
      const right = b ? `B: ${subject(comparison.loaded, b)}` : 'B';
      const left = `A: ${subject(loaded, a)}`;
      this.#swipe.show([left, right]);
      if (b?.picture === a.picture) this.#mark(this.#swipe.marks, b);
      else this.#swipe.marks.show(a.opened, '', null);
      this.#main.title(`${left} | ${right}`, this.#main.canvas.getAttribute('aria-label') ?? '');
    } else {
      drawPicture(this.#swipe.under, a.painted.picture);
      this.#swipe.marks.show(a.opened, '', null);
      this.#swipe.show(['overlay', 'picture']);
    }
  }

  #mark(marks: Marks, explained: Explained): void {
    const { contour: share, peak } = this.#session.sight;
    const { opened, explanation } = explained;
    const placed = { map: explanation.report.map, region: opened.region };
    marks.show(opened, contour(placed, share), peak ? peakOf(explained) : null);
  }

  #colored(heat: Heat, explained: Explained): HTMLCanvasElement {
    const { loaded, look } = this.#session;
    const table = loaded?.tables[colorsOf(explained, look.colormap)];
    return heat.colored(explained, table ?? new Uint8ClampedArray(1024));
  }

  /** The value under the cursor, of A and of B. */
  #read(spoken: boolean): void {
    const { shown, comparison } = this.#session;
    const at = this.cursor;
    const b = comparison?.shown ?? null;
    const words = !shown || !at ? '' : reading(shown, at);
    const both = b && at ? `A ${words}  ·  B ${reading(b, at)}` : words;
    say(this.#readout, both);
    if (spoken || both === '') say(this.#spoken, both);
  }

  #letGo(): void {
    for (const { canvas } of this.#panels) drawNothing(canvas);
    drawNothing(this.#swipe.under);
    this.#heats.a.clear();
    this.#heats.b.clear();
    this.point(null, false);
  }
}

/** The layout as it can be: two explanations lie side by side or under the divider. */
export function layoutOf({ sight, comparison }: Session): Layout {
  return comparison && sight.layout === 'overlay' ? 'side' : sight.layout;
}

function peakOf({ explanation, opened }: Explained): Point | null {
  const { peak } = explanation;
  return peak && { x: (peak.x + 0.5) / opened.width, y: (peak.y + 0.5) / opened.height };
}
