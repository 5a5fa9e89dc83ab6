/** What the network saw: the picture after crop, resize and stretch, and where it came from. */
import type { Session } from '../session.ts';
import { make, need } from './dom.ts';
import { drawPicture } from './stage/draw.ts';

export class SeenView {
  readonly #section = need('seen-section', HTMLElement);
  readonly #canvas = need('seen', HTMLCanvasElement);
  readonly #facts = need('facts', HTMLDListElement);
  #drawn: Session['shown'] = null;

  update({ shown, loaded }: Session): void {
    this.#section.hidden = shown === null;
    if (!shown || !loaded || shown === this.#drawn) return;
    this.#drawn = shown;
    const { input } = loaded.model;
    drawPicture(this.#canvas, shown.painted.seen);
    const { width, height, region } = shown.opened;
    const { engine } = shown.explanation.report;
    const lungs = shown.opened.companion;
    const found = !lungs || lungs.lungs_found ? '' : ' (no lungs found)';
    const facts: [string, string][] = [
      ['Picture', `${width} × ${height} px`],
      ['Region', `${region.width} × ${region.height} at ${region.x}, ${region.y}${found}`],
      ['Input', `${input.width} × ${input.height}, ${input.channels}`],
      ['Engine', `${engine.name} ${engine.version}, ${engine.device}, ${engine.simd || 'scalar'}`],
    ];
    this.#facts.replaceChildren(
      ...facts.map(([term, words]) => make('div', {}, make('dt', {}, term), make('dd', {}, words))),
    );
  }
}
