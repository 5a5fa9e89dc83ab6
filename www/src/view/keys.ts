/** Keys that work anywhere on the page, the dialog that lists all of them, and the switch that turns them off. */
import type { Session } from '../session.ts';
import { need } from './dom.ts';
import { WHOLE } from './stage/camera.ts';
import { closer, farther, type Held } from './stage/hands.ts';

const KEPT = 'gradlens.keys/1';

export class Keys {
  readonly #dialog = need('help', HTMLDialogElement);
  readonly #switch = need('keys-switch', HTMLInputElement);

  constructor(session: Session, held: Held) {
    this.#switch.checked = remembered();
    this.#switch.addEventListener('change', () => remember(this.#switch.checked));
    need('help-open', HTMLButtonElement).addEventListener('click', () => this.#dialog.showModal());
    need('help-close', HTMLButtonElement).addEventListener('click', () => this.#dialog.close());
    const does = actions(session, held, () => this.#dialog.showModal());
    document.addEventListener('keydown', (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (!this.#switch.checked || this.#dialog.open || typing(event.target)) return;
      const act = does[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
  }
}

function actions(session: Session, held: Held, help: () => void): Record<string, () => void> {
  const neighbour = (step: number): void => {
    const { pictures, active } = session;
    const at = active ? pictures.indexOf(active) + step : 0;
    const next = pictures[at];
    if (next) session.select(next);
  };
  return {
    '?': help,
    '1': () => session.lookAt({ layout: 'overlay' }),
    '2': () => session.lookAt({ layout: 'side' }),
    '3': () => session.lookAt({ layout: 'swipe' }),
    c: () => {
      if (session.shown) session.compare(session.comparison === null);
    },
    '+': () => closer(held),
    '-': () => farther(held),
    '0': () => held.move(WHOLE),
    '[': () => neighbour(-1),
    ']': () => neighbour(1),
  };
}

/** Whether keys are letters here: in fields and in menus, which find an entry by them. */
function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) {
    return !['checkbox', 'radio', 'range', 'button', 'file'].includes(target.type);
  }
  return target.isContentEditable || target.matches('textarea, select');
}

function remembered(): boolean {
  try {
    return localStorage.getItem(KEPT) !== 'off';
  } catch {
    return true;
  }
}

function remember(on: boolean): void {
  try {
    if (on) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, 'off');
  } catch {
    // Storage is full or switched off: it holds for this visit.
  }
}
