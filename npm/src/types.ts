/** The engine's JSON, as the page knows it. The package carries a copy of that file in place of this one. */
export type * from '../../www/src/types.ts';
