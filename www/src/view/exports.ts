/** Files to keep: overlay, figure, raw map and report of what is shown, and the model's gradient graph. */
import type { Session } from '../session.ts';
import { gradientGraph, save, signedReport } from '../session/keeping.ts';
import { publicKey } from '../signer.ts';
import { need, say } from './dom.ts';
import { keep } from './file.ts';
import { safeStem } from '../keep/names.ts';

const ONNX = 'application/octet-stream';

export class ExportsView {
  readonly #section = need('export', HTMLElement);
  readonly #sign = need('sign', HTMLInputElement);
  readonly #key = need('sign-key', HTMLElement);
  readonly #graph = need('gradient', HTMLElement);

  constructor(session: Session) {
    const files = [
      ['export-png', 'overlay', 'overlay.png', 'image/png'],
      ['export-figure', 'figure', 'figure.png', 'image/png'],
      ['export-map', 'map', 'map.npy', 'application/octet-stream'],
    ] as const;
    for (const [id, what, ending, type] of files) {
      need(id, HTMLButtonElement).addEventListener('click', async () => {
        const name = session.shown?.picture.file.name ?? '';
        const bytes = await save(session, { kind: what });
        if (bytes) keep(`${safeStem(name)}.${ending}`, new Blob([bytes], { type }));
      });
    }
    this.#sign.addEventListener('change', () => void this.#showKey());
    need('export-report', HTMLButtonElement).addEventListener('click', async () => {
      const report = this.#sign.checked ? await signedReport(session) : session.report();
      if (!report) return;
      const text = `${JSON.stringify(report)}\n`;
      keep(
        `${safeStem(report.picture.name)}.report.json`,
        new Blob([text], { type: 'application/json' }),
      );
    });
    for (const [id, input] of [
      ['export-gradient', false],
      ['export-gradient-input', true],
    ] as const) {
      const button = need(id, HTMLButtonElement);
      button.addEventListener('click', async () => {
        button.disabled = true;
        const bytes = await gradientGraph(session, input);
        button.disabled = false;
        const name = session.loaded?.model.id ?? 'model';
        if (bytes) keep(`${name}.gradient.onnx`, new Blob([bytes], { type: ONNX }));
      });
    }
  }

  update({ shown, loaded }: Session): void {
    this.#section.hidden = shown === null;
    this.#graph.hidden = loaded === null;
  }

  /** Shows what a reader of signed reports needs; a browser without such keys says so. */
  async #showKey(): Promise<void> {
    if (!this.#sign.checked) {
      say(this.#key, '');
      return;
    }
    try {
      say(this.#key, `Public key: ${await publicKey()}`);
    } catch {
      this.#sign.checked = false;
      say(this.#key, 'This browser makes or keeps no Ed25519 keys here.');
    }
  }
}
