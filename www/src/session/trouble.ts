/** What went wrong, in one line. */
import { EngineLost } from '../engine/client.ts';

/** One line that names the file and says why. */
export function explain(name: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof EngineLost) {
    return `${name}: the engine gave up on it (${message}) and was started again.`;
  }
  return message.includes(name) ? message : `${name}: ${message}`;
}
