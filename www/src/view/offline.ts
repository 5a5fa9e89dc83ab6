/** Says when the page works without network, and offers a newer version of it. */
import { workOffline } from '../offline/register.ts';
import type { Session } from '../session.ts';
import { need, say } from './dom.ts';

export class OfflineView {
  readonly #kept = need('offline', HTMLElement);
  readonly #box = need('update', HTMLElement);
  readonly #text = need('update-text', HTMLElement);
  readonly #take = need('update-now', HTMLButtonElement);
  #started = false;

  update({ phase, pictures }: Session): void {
    say(
      this.#text,
      pictures.length > 0
        ? 'A newer version of this page is here. Save what you need first: it opens without your pictures.'
        : 'A newer version of this page is here.',
    );
    // The model that the visitor waits for comes first.
    if (this.#started || phase === 'loading') return;
    this.#started = true;
    void workOffline({
      kept: () => say(this.#kept, 'It works without network now.'),
      newer: (take) => {
        this.#box.hidden = false;
        this.#take.onclick = take;
      },
    });
  }
}
