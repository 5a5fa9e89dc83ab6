/** What scripts may ask the page. */
import type { Report } from './types.ts';

declare global {
  interface Window {
    gradlens: {
      report(): Report | null;
      /** The report of B, while there is one. */
      compared(): Report | null;
    };
  }
}
