/** The bar over the stage: how panels are laid out, how large the picture is, and whether two explanations are compared. */
import type { Session } from '../../session.ts';
import type { Layout } from '../../session/visit.ts';
import { need, say } from '../dom.ts';
import { WHOLE } from './camera.ts';
import { closer, farther, type Held } from './hands.ts';
import { layoutOf } from './stage.ts';

const LAYOUTS: Layout[] = ['overlay', 'side', 'swipe'];

export class BarView {
  readonly #bar = need('stage-bar', HTMLElement);
  readonly #compare = need('compare', HTMLButtonElement);
  readonly #whole = need('zoom-whole', HTMLButtonElement);
  readonly #in = need('zoom-in', HTMLButtonElement);
  readonly #out = need('zoom-out', HTMLButtonElement);
  readonly #layouts = LAYOUTS.map((layout) => ({
    layout,
    input: need(`layout-${layout}`, HTMLInputElement),
  }));

  constructor(session: Session, held: () => Held) {
    for (const { layout, input } of this.#layouts) {
      input.addEventListener('change', () => session.lookAt({ layout }));
    }
    this.#compare.addEventListener('click', () => session.compare(session.comparison === null));
    this.#in.addEventListener('click', () => closer(held()));
    this.#out.addEventListener('click', () => farther(held()));
    this.#whole.addEventListener('click', () => held().move(WHOLE));
  }

  update(session: Session): void {
    this.#bar.hidden = session.shown === null;
    const { comparison } = session;
    this.#compare.setAttribute('aria-pressed', String(comparison !== null));
    const chosen = layoutOf(session);
    for (const { layout, input } of this.#layouts) {
      input.checked = layout === chosen;
      input.disabled = layout === 'overlay' && comparison !== null;
    }
  }

  /** After the camera moved. */
  moved({ camera }: Held): void {
    say(this.#whole, `${Math.round(camera.scale * 100)} %`);
  }
}
