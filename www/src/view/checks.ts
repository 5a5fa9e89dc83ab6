/** "Is it to be believed?": what the page knows of the map at once, and the checks that a visitor asks for. */
import type { CheckEntry, Share } from '../doubt.ts';
import type { Session } from '../session.ts';
import { mapOf, type Doubts } from '../session/doubts.ts';
import { bare } from '../session/visit.ts';
import { finding } from './finding.ts';
import { make, need, say } from './dom.ts';
import { percent, raw } from './text.ts';

/** Checks that need nothing but the map, in the order of their price; the others want a mask, or are shown without being asked for. */
const OFFERED = [
  'deletion',
  'insertion',
  'average-drop',
  'outside-lungs',
  'road',
  'stability',
  'randomisation',
];

export class ChecksView {
  readonly #section = need('checks', HTMLElement);
  readonly #facts = need('check-facts', HTMLDListElement);
  readonly #buttons = need('check-buttons', HTMLElement);
  readonly #progress = need('check-progress', HTMLElement);
  readonly #bar = need('check-bar', HTMLProgressElement);
  readonly #amount = need('check-amount', HTMLElement);
  readonly #cancel = need('check-cancel', HTMLButtonElement);
  readonly #status = need('check-status', HTMLElement);
  readonly #results = need('check-results', HTMLElement);
  readonly #session: Session;
  readonly #doubts: Doubts;
  #map: string | null = null;
  #running: AbortController | null = null;
  #offered = false;

  constructor(session: Session, doubts: Doubts) {
    this.#session = session;
    this.#doubts = doubts;
    this.#cancel.addEventListener('click', () => this.#running?.abort());
  }

  update(session: Session): void {
    if (session.loaded && !this.#offered) this.#offer(session);
    const { shown, phase } = session;
    // Whatever else is wanted of the engine comes first.
    if (phase === 'running' || phase === 'loading') this.#running?.abort();
    this.#section.hidden = shown === null;
    const map = mapOf(session);
    if (map === this.#map) return;
    this.#map = map;
    this.#running?.abort();
    say(this.#status, '');
    this.#list();
    this.#facts.replaceChildren();
    if (shown) void this.#place(map);
  }

  /** A button a check, and one for all. */
  #offer({ loaded }: Session): void {
    const checks = loaded?.catalogue.checks ?? [];
    this.#offered = checks.length > 0;
    const buttons = OFFERED.flatMap((id) => {
      const check = checks.find((check) => check.id === id);
      if (!check) return [];
      const button = make('button', { type: 'button', title: check.about }, check.name);
      button.dataset['check'] = id;
      button.addEventListener('click', () => void this.#run([id]));
      return [button];
    });
    const all = make('button', { type: 'button' }, 'All of them');
    all.dataset['check'] = 'all';
    all.addEventListener('click', () => void this.#run(OFFERED));
    this.#buttons.replaceChildren(...buttons, all);
  }

  /** What costs no pass: the gate, and where the map lies. */
  async #place(map: string | null): Promise<void> {
    const { shown } = this.#session;
    if (!shown) return;
    const { picture, options } = shown;
    const answer = await this.#session.request(picture.file.name, 'where', {
      picture: bare(picture),
      options,
    });
    if (!answer || this.#map !== map) return;
    const { border, outside } = answer.where;
    const facts: [string, string][] = [
      ['Is it such a picture?', gate(this.#session)],
      ['Outside the lungs', share(outside)],
      ['On the border', share(border)],
    ];
    this.#facts.replaceChildren(
      ...facts.map(([term, words]) => make('div', {}, make('dt', {}, term), make('dd', {}, words))),
    );
  }

  async #run(ids: string[]): Promise<void> {
    const { shown } = this.#session;
    if (this.#running || !shown || this.#map === null) return;
    const map = this.#map;
    const running = (this.#running = new AbortController());
    this.#busy(true);
    for (const [index, id] of ids.entries()) {
      const name = this.#buttons.querySelector(`[data-check="${id}"]`)?.textContent ?? id;
      const many = ids.length > 1 ? ` (${index + 1} of ${ids.length})` : '';
      say(this.#status, `Checking: ${name}${many}`);
      this.#bar.removeAttribute('value');
      say(this.#amount, '');
      const answer = await this.#session.request(
        shown.picture.file.name,
        'check',
        { picture: bare(shown.picture), options: shown.options, check: id },
        {
          signal: running.signal,
          onProgress: ({ received, total }) => this.#measure(received, total),
        },
      );
      if (answer) this.#doubts.add(map, answer.entry);
      if (!answer || running.signal.aborted) break;
      this.#list();
    }
    this.#running = null;
    this.#busy(false);
    this.#list();
    say(this.#status, running.signal.aborted ? 'The check was stopped.' : 'Checked.');
    if (this.#map !== map) say(this.#status, '');
  }

  #measure(done: number, of: number | null): void {
    if (of === null) return;
    this.#bar.max = of;
    this.#bar.value = done;
    say(this.#amount, `${done} of ${of} passes`);
  }

  #busy(busy: boolean): void {
    this.#progress.hidden = !busy;
    for (const button of this.#buttons.querySelectorAll('button')) button.disabled = busy;
  }

  #list(): void {
    const entries = this.#doubts.of(this.#map);
    const order = (entry: CheckEntry): number => OFFERED.indexOf(entry.check);
    const sorted = entries.sort((a, b) => order(a) - order(b));
    this.#results.replaceChildren(...sorted.map((entry) => finding(entry)));
  }
}

function share(share: Share): string {
  if ('nothing' in share) return share.nothing;
  return `${percent(share.share)} of the map; ${percent(share.uniform)} if it were the same everywhere`;
}

/** What the companion says of the picture. */
function gate({ shown, loaded }: Session): string {
  const companion = shown?.opened.companion;
  if (!companion) return `${loaded?.model.name ?? 'The model'} has no companion that would know.`;
  const { gate } = companion;
  if (!gate) return 'The model does not ask its companion.';
  const numbers = `(logit ${raw(gate.logit)}, at least ${raw(gate.threshold)} is asked for)`;
  return gate.passed
    ? `It looks like an upright frontal chest X-ray ${numbers}.`
    : `It does not look like an upright frontal chest X-ray ${numbers}: the scores mean nothing.`;
}
