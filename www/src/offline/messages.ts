/** What the page says to its service worker. */

/** Asks for what a visit without network needs; answered with whether all of it is kept. */
export const COMPLETE = 'gradlens-complete';
