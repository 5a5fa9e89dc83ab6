/** The pictures of this visit, each with its highest score; a click shows it. */
import type { Session } from '../session.ts';
import { highest, type Picture } from '../session/visit.ts';
import { make, need, say } from './dom.ts';
import { drawPicture } from './stage/draw.ts';
import { percent } from './text.ts';

interface Item {
  row: HTMLLIElement;
  button: HTMLButtonElement;
  canvas: HTMLCanvasElement;
  score: HTMLElement;
  drawn: Picture['scored'];
}

export class TrayView {
  readonly #list = need('tray', HTMLUListElement);
  readonly #clear = need('clear', HTMLButtonElement);
  readonly #items = new Map<number, Item>();
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
    this.#clear.addEventListener('click', () => session.clear());
  }

  update({ pictures, active }: Session): void {
    this.#list.hidden = pictures.length === 0;
    this.#clear.hidden = pictures.length === 0;
    const keys = new Set(pictures.map(({ key }) => key));
    for (const [key, { row }] of this.#items) {
      if (keys.has(key)) continue;
      row.remove();
      this.#items.delete(key);
    }
    for (const picture of pictures) {
      const item = this.#items.get(picture.key) ?? this.#append(picture);
      item.button.setAttribute('aria-pressed', String(picture === active));
      item.button.toggleAttribute('data-waiting', !picture.scored);
      if (item.drawn === picture.scored) continue;
      item.drawn = picture.scored;
      if (!picture.scored) {
        say(item.score, 'waiting');
        continue;
      }
      drawPicture(item.canvas, picture.scored.thumb);
      const best = picture.scored.opened.scores.find(({ index }) => index === highest(picture));
      const share = best?.probability;
      say(item.score, share == null ? (best?.name ?? '') : `${percent(share)} ${best?.name}`);
    }
  }

  #append(picture: Picture): Item {
    const canvas = make('canvas', { width: 1, height: 1 });
    const score = make('span', { className: 'quiet' }, 'waiting');
    const name = make('span', {}, picture.file.name);
    const words = make('span', { className: 'thumb-words' }, name, score);
    const button = make(
      'button',
      { type: 'button', className: 'thumb', title: picture.file.name },
      canvas,
      words,
    );
    button.addEventListener('click', () => this.#session.select(picture));
    const row = make('li', {}, button);
    this.#list.append(row);
    const item: Item = { row, button, canvas, score, drawn: null };
    this.#items.set(picture.key, item);
    return item;
  }
}
