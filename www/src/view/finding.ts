/** What a check found: the number to quote, the sentence, the plot, and the same numbers as a table and for the clipboard. */
import type { CheckEntry, Curve, Finding } from '../doubt.ts';
import { plot, tabbed, words } from '../plot/plot.ts';
import { make, say } from './dom.ts';
import { raw } from './text.ts';

export function finding(entry: CheckEntry): HTMLElement {
  const { found, nothing } = entry;
  const article = make(
    'article',
    { className: 'finding' },
    make('h3', {}, entry.name),
    ...(found ? picture(entry.name, found) : []),
    make('p', { className: found ? 'finding-says' : 'hint' }, found?.says ?? nothing ?? ''),
    ...(found ? [numbers(entry.name, found, found.curves ?? [])] : []),
    make('p', { className: 'hint' }, `${entry.about} ${entry.does_not_say}`),
  );
  article.dataset['check'] = entry.check;
  return article;
}

/** The number to quote, and the plot. */
function picture(name: string, found: Finding): HTMLElement[] {
  const [first] = found.numbers;
  const parts: HTMLElement[] = [];
  if (first) {
    const value = make('strong', { className: 'numbers' }, raw(first.value));
    parts.push(make('p', { className: 'finding-number' }, value, ` ${words(first.name)}`));
  }
  const curves = found.curves ?? [];
  if (curves.some(({ points }) => points.length > 0)) {
    parts.push(make('div', { className: 'plot-frame' }));
    parts.at(-1)?.append(plot(curves, `Plot of ${name}. ${found.says}`));
  }
  return parts;
}

/** Every number, behind a fold, and a button that copies them. */
function numbers(name: string, found: Finding, curves: Curve[]): HTMLElement {
  const single = found.numbers.map(({ name, value }) => `${name}\t${value}`).join('\n');
  const copy = make('button', { type: 'button' }, 'Copy the numbers');
  const copied = make('span', { className: 'quiet' });
  copied.setAttribute('role', 'status');
  copy.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText([tabbed(curves), single].filter(Boolean).join('\n\n'));
      say(copied, 'Copied, tab-separated.');
    } catch {
      say(copied, 'This browser does not let the page copy: select the table instead.');
    }
  });
  const rows = tabbed(curves)
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t'));
  return make(
    'details',
    { className: 'finding-numbers' },
    make('summary', {}, 'Numbers'),
    table(
      `${name}: numbers`,
      ['Number', 'Value'],
      found.numbers.map(({ name, value }) => [words(name), raw(value)]),
    ),
    ...(rows[0]
      ? [
          table(
            `${name}: curve`,
            rows[0].map(words),
            rows.slice(1).map((row) => row.map((cell) => (cell === '' ? '–' : raw(Number(cell))))),
          ),
        ]
      : []),
    make('p', { className: 'finding-copy' }, copy, ' ', copied),
  );
}

function table(caption: string, heads: string[], rows: string[][]): HTMLElement {
  return make(
    'div',
    // It scrolls, so the keyboard must reach it.
    { className: 'table-frame', tabIndex: 0, role: 'region', ariaLabel: caption },
    make(
      'table',
      { className: 'plain-table' },
      make('caption', { className: 'visually-hidden' }, caption),
      make('thead', {}, make('tr', {}, ...heads.map((head) => make('th', { scope: 'col' }, head)))),
      make(
        'tbody',
        {},
        ...rows.map(([first = '', ...rest]) =>
          make(
            'tr',
            {},
            make('th', { scope: 'row' }, first),
            ...rest.map((cell) => make('td', {}, cell)),
          ),
        ),
      ),
    ),
  );
}
