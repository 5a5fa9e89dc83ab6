/** What went wrong, a line each, naming the file and the reason. */
import type { Session } from '../session.ts';
import { make, need } from './dom.ts';

export class ProblemsView {
  readonly #box = need('problems', HTMLElement);
  readonly #list = need('problem-list', HTMLElement);
  #told = '';

  constructor(session: Session) {
    need('dismiss', HTMLButtonElement).addEventListener('click', () => session.dismissProblems());
  }

  update({ problems }: Session): void {
    const told = problems.join('\n');
    if (told === this.#told) return;
    this.#told = told;
    this.#box.hidden = problems.length === 0;
    this.#list.replaceChildren(...problems.map((problem) => make('li', {}, problem)));
  }
}
