/** Files that the page hands to its visitor. */
import { make } from './dom.ts';

/** Hands the visitor a file. */
export function keep(name: string, blob: Blob): void {
  const address = URL.createObjectURL(blob);
  make('a', { href: address, download: name }).click();
  // The browser has taken its own hold of it once the click is over; a little later is safe everywhere.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
