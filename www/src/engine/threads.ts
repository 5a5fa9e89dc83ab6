/** How many threads the engine may have. */

/** More of them wait for each other longer than they help. */
const MOST = 8;

/**
 * As many as there are processors, where the page is cross-origin isolated: elsewhere browsers give it no memory that threads
 * could share. `?threads=N` in the page's address asks for fewer.
 */
export function threads(): number {
  if (!crossOriginIsolated) return 1;
  const asked = Number(new URLSearchParams(location.search).get('threads') ?? '');
  const wanted = Number.isInteger(asked) && asked > 0 ? asked : navigator.hardwareConcurrency;
  return Math.min(wanted, MOST);
}
