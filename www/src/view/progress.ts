/** The line that says what is going on: a sentence, a bar, and a way to stop. */
import type { Session } from '../session.ts';
import { need, say } from './dom.ts';
import { megabytes, milliseconds } from './text.ts';

/** Work shorter than this needs no stop button. */
const PATIENCE_MS = 1500;

export class ProgressView {
  readonly #status = need('status', HTMLElement);
  readonly #amount = need('progress-amount', HTMLElement);
  readonly #bar = need('progress', HTMLProgressElement);
  readonly #stop = need('stop', HTMLButtonElement);
  #patience: ReturnType<typeof setTimeout> | null = null;

  constructor(session: Session) {
    this.#stop.addEventListener('click', () => session.stop());
  }

  update(session: Session): void {
    const { phase } = session;
    say(this.#status, sentence(session));
    this.#status.dataset['state'] = phase;
    this.#measure(session);
    const busy = phase === 'running' || (phase === 'loading' && session.loaded !== null);
    if (!busy) {
      if (this.#patience) clearTimeout(this.#patience);
      this.#patience = null;
      this.#stop.hidden = true;
    } else {
      this.#patience ??= setTimeout(() => (this.#stop.hidden = false), PATIENCE_MS);
    }
  }

  #measure({ phase, progress, pictures }: Session): void {
    const bar = this.#bar;
    const scored = pictures.filter((picture) => picture.scored).length;
    const many = phase === 'running' && pictures.length - scored > 0 && pictures.length > 1;
    bar.hidden = !(phase === 'loading' || many || passes(phase, progress));
    if (many) fill(bar, scored, pictures.length);
    else if (progress?.total) fill(bar, progress.received, progress.total);
    else bar.removeAttribute('value');
    say(this.#amount, amount(phase, progress));
    if (many) say(this.#amount, `${scored} of ${pictures.length}`);
  }
}

function fill(bar: HTMLProgressElement, value: number, most: number): void {
  // All bytes are here, and the model is being prepared: how long that takes is not known.
  if (value >= most) {
    bar.removeAttribute('value');
    return;
  }
  bar.max = most;
  bar.value = value;
}

/** Whether a method is at work that makes many passes. */
function passes(phase: Session['phase'], progress: Session['progress']): boolean {
  return phase === 'running' && progress?.step === 'passes';
}

function amount(phase: Session['phase'], progress: Session['progress']): string {
  if (progress && passes(phase, progress)) {
    return `${progress.received} of ${progress.total} passes`;
  }
  if (phase !== 'loading' || !progress) return '';
  const { received, total } = progress;
  if (total === null) return `${megabytes(received)} MB`;
  if (total === 0) return '';
  return received < total ? `${megabytes(received)} of ${megabytes(total)} MB` : 'preparing';
}

function sentence({ phase, loaded, progress, active, shown, pictures, question }: Session): string {
  switch (phase) {
    case 'loading':
      if (progress?.step) return `Loading the model: ${progress.step}`;
      if (loaded) return 'Loading the model';
      return pictures.length > 0
        ? 'Loading the engine and the model; your picture is next'
        : 'Loading the engine and the model';
    case 'ready':
      return 'Ready for a picture';
    case 'running':
      // A new look at the same picture is over before it could be read out; another layer is not.
      if (shown && shown.picture === active && pictures.every((picture) => picture.scored)) {
        const { layer } = question;
        return layer === shown.options.layer ? done(shown) : `Preparing layer ${layer}`;
      }
      return `Looking at ${active?.file.name ?? 'the pictures'}`;
    case 'done':
      return shown ? done(shown) : 'Done';
    case 'error':
      return 'That did not work';
  }
}

function done({ opened, explanation }: NonNullable<Session['shown']>): string {
  const { forward } = opened.milliseconds;
  const { backward } = explanation.milliseconds;
  return `Scored in ${milliseconds(forward)}, explained in ${milliseconds(backward)}`;
}
