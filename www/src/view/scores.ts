/** What must be said before any score, and the table of scores: a row a class, a bar, and the class as a button that asks for its explanation. */
import type { Session } from '../session.ts';
import { highest } from '../session/visit.ts';
import type { Score } from '../types.ts';
import { make, need, say } from './dom.ts';
import { percent, raw } from './text.ts';

/** Up to here the model's own order is kept; a longer table is sorted by score. */
const OWN_ORDER = 12;

export class ScoresView {
  readonly #table = need('scores', HTMLTableElement);
  readonly #body = need('scores-body', HTMLTableSectionElement);
  readonly #none = need('scores-none', HTMLElement);
  readonly #warning = need('warning', HTMLElement);
  readonly #session: Session;
  #drawn: Score[] | null = null;
  #explained = -1;

  constructor(session: Session) {
    this.#session = session;
  }

  update({ active, shown }: Session): void {
    const picture = active?.scored ? active : (shown?.picture ?? null);
    const scores = picture?.scored?.opened.scores ?? null;
    this.#table.hidden = scores === null;
    this.#none.hidden = scores !== null;
    const warning = picture?.scored?.opened.warning ?? null;
    this.#warning.hidden = warning === null;
    say(this.#warning, warning ? `${picture?.file.name} ${warning}.` : '');
    this.#table.toggleAttribute('data-doubtful', warning !== null);
    const explained = picture ? (picture.class ?? highest(picture)) : -1;
    if (scores !== this.#drawn) this.#fill(scores ?? []);
    else if (explained === this.#explained) return;
    this.#drawn = scores;
    this.#explained = explained;
    for (const row of this.#body.rows) {
      const chosen = row.dataset['index'] === String(explained);
      row.toggleAttribute('data-explained', chosen);
      row.querySelector('button')?.setAttribute('aria-pressed', String(chosen));
    }
  }

  #fill(scores: Score[]): void {
    const sorted =
      scores.length > OWN_ORDER ? [...scores].sort((a, b) => b.logit - a.logit) : scores;
    this.#body.replaceChildren(...sorted.map((score) => this.#row(score)));
  }

  #row({ index, label, name, logit, probability }: Score): HTMLTableRowElement {
    const button = make('button', { type: 'button', title: `Explain ${name}` }, name);
    button.addEventListener('click', () => this.#session.chooseClass(index));
    const fill = make('span', { className: 'bar-fill' });
    fill.style.setProperty('--share', String(probability ?? 0));
    const row = make(
      'tr',
      {},
      make('th', { scope: 'row' }, button),
      make('td', { className: 'bar' }, make('span', { className: 'bar-track' }, fill)),
      make('td', {}, probability == null ? '–' : percent(probability)),
      make('td', { className: 'logit' }, raw(logit)),
    );
    row.dataset['index'] = String(index);
    row.dataset['label'] = label;
    row.dataset['probability'] = String(probability ?? '');
    return row;
  }
}
