/** More to keep: the one-file report, proposals for annotations, the scores of all pictures, and everything of all pictures as a zip. */
import { plot } from '../plot/plot.ts';
import { Archive } from '../keep/archive.ts';
import { scoresCsv } from '../keep/csv.ts';
import { safeStem, uniqueStems } from '../keep/names.ts';
import type { CheckEntry } from '../doubt.ts';
import type { Keepsake } from '../protocol.ts';
import type { Session } from '../session.ts';
import { mapOf, type Doubts } from '../session/doubts.ts';
import { save, saveOf } from '../session/keeping.ts';
import { need, say } from './dom.ts';
import { keep } from './file.ts';

export class DownloadsView {
  readonly #section = need('export', HTMLElement);
  readonly #threshold = need('export-threshold', HTMLInputElement);
  readonly #all = need('export-all', HTMLButtonElement);
  readonly #csv = need('export-csv', HTMLButtonElement);
  readonly #progress = need('export-progress', HTMLElement);
  readonly #bar = need('export-bar', HTMLProgressElement);
  readonly #status = need('export-status', HTMLElement);
  readonly #session: Session;
  #packing: AbortController | null = null;

  constructor(session: Session, doubts: Doubts) {
    this.#session = session;
    need('export-html', HTMLButtonElement).addEventListener('click', async () => {
      const checks = doubts.of(mapOf(session));
      const page = await save(session, { kind: 'page', checks, plots: plots(checks) });
      if (page) this.#keep('report.html', page, 'text/html');
    });
    need('export-coco', HTMLButtonElement).addEventListener('click', async () => {
      const threshold = this.#share();
      if (threshold === null) return;
      const json = await save(session, { kind: 'annotations', threshold });
      if (json) this.#keep('coco.json', json, 'application/json');
    });
    this.#csv.addEventListener('click', () => {
      const { loaded, pictures } = session;
      if (!loaded) return;
      keep('scores.csv', new Blob([scoresCsv(pictures, loaded)], { type: 'text/csv' }));
    });
    this.#all.addEventListener('click', () => void this.#pack());
    need('export-cancel', HTMLButtonElement).addEventListener('click', () =>
      this.#packing?.abort(),
    );
  }

  update({ shown, pictures, phase }: Session): void {
    this.#section.hidden = shown === null;
    const waiting = pictures.some(({ scored }) => !scored);
    this.#all.disabled = waiting || this.#packing !== null;
    this.#csv.disabled = waiting;
    // Another model, or a broken one: what is left would be of another kind.
    if (phase === 'loading') this.#packing?.abort();
  }

  #keep(ending: string, bytes: Uint8Array<ArrayBuffer>, type: string): void {
    const name = this.#session.shown?.picture.file.name ?? '';
    keep(`${safeStem(name)}.${ending}`, new Blob([bytes], { type }));
  }

  /** The threshold as a share; null where it is none, which the field says. */
  #share(): number | null {
    if (!this.#threshold.reportValidity()) return null;
    return this.#threshold.valueAsNumber / 100;
  }

  /** Everything of all pictures: each is explained as the shown one is. */
  async #pack(): Promise<void> {
    const session = this.#session;
    const { loaded, look, question } = session;
    const threshold = this.#share();
    if (this.#packing || !loaded || threshold === null) return;
    const pictures = session.pictures.filter(({ scored }) => scored);
    const stems = uniqueStems(pictures.map(({ file }) => file.name));
    const packing = (this.#packing = new AbortController());
    const archive = new Archive();
    const files: [string, Keepsake][] = [
      ['overlay.png', { kind: 'overlay' }],
      ['figure.png', { kind: 'figure' }],
      ['map.npy', { kind: 'map' }],
      ['coco.json', { kind: 'annotations', threshold }],
      ['report.json', { kind: 'report' }],
    ];
    this.#progress.hidden = false;
    this.#all.disabled = true;
    this.#bar.max = pictures.length;
    let whole = true;
    for (const [index, picture] of pictures.entries()) {
      this.#bar.value = index;
      say(this.#status, `Packing ${index + 1} of ${pictures.length}: ${picture.file.name}`);
      for (const [ending, what] of files) {
        const bytes = await saveOf(session, picture, question, look, what, packing.signal);
        // A picture that fails is said by the page; the others are still packed.
        if (bytes) archive.add(`${stems[index]}.${ending}`, bytes);
        else whole = false;
        if (packing.signal.aborted || !bytes) break;
      }
      if (packing.signal.aborted) break;
    }
    this.#packing = null;
    this.#progress.hidden = true;
    this.#all.disabled = false;
    if (packing.signal.aborted) {
      say(this.#status, 'Packing was stopped; nothing was saved.');
      return;
    }
    archive.add('scores.csv', new TextEncoder().encode(scoresCsv(pictures, loaded)));
    keep('gradlens.zip', archive.end());
    say(this.#status, whole ? 'Everything is packed.' : 'Packed, but not all of it: see above.');
  }
}

/** The plots of checks as texts. */
function plots(checks: CheckEntry[]): [string, string][] {
  return checks.flatMap(({ check, name, found }) => {
    const curves = found?.curves ?? [];
    if (curves.every(({ points }) => points.length === 0)) return [];
    const svg = plot(curves, `Plot of ${name}. ${found?.says}`);
    return [[check, new XMLSerializer().serializeToString(svg)]];
  });
}
