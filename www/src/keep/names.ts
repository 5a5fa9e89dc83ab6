/** Names of files that every system takes, each once. */

/** What Windows keeps for itself. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)$/i;
const MOST_LETTERS = 100;

/** A picture's file name without folder and last extension, as a name that is safe everywhere. */
export function safeStem(name: string): string {
  const base = name.split(/[\\/]/).pop() ?? '';
  const dot = base.lastIndexOf('.');
  const stem = (dot > 0 ? base.slice(0, dot) : base)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}<>:"|?*]/gu, '_')
    .replace(/^[.\s-]+/, '')
    .replace(/[.\s]+$/, '');
  const short = [...stem].slice(0, MOST_LETTERS).join('');
  return short === '' || RESERVED.test(short) ? `picture_${short}` : short;
}

/** A stem for each name, in order: the same one twice gets a number, whatever the case of its letters. */
export function uniqueStems(names: string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const stem = safeStem(name);
    let unique = stem;
    for (let number = 2; taken.has(unique.toLowerCase()); number += 1) unique = `${stem}-${number}`;
    taken.add(unique.toLowerCase());
    return unique;
  });
}
