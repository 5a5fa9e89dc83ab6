/** From English words to those of another language: exact, or by a pattern with {names} whose values are translated in turn. */

interface Pattern {
  words: RegExp;
  names: string[];
  translation: string;
}

const NUMBER = /^[−+-]?\d+\.\d+(e[+-]?\d+)?( ?(%|s|ms|MB))?$/;

/** Names in patterns for which only numbers stand. */
const COUNTS = new Set(['done', 'all', 'received', 'total', 'number']);

export class Words {
  readonly #exact: Map<string, string>;
  readonly #patterns: Pattern[];
  readonly #decimal: string;

  /** `language` decides how numbers are written. */
  constructor(catalogue: Record<string, string>, language: string) {
    this.#exact = new Map(Object.entries(catalogue));
    // Of two patterns that fit, the one with more words of its own.
    this.#patterns = Object.entries(catalogue)
      .filter(([english]) => english.includes('{'))
      .sort(([a], [b]) => own(b) - own(a))
      .map(([english, translation]) => pattern(english, translation));
    const parts = new Intl.NumberFormat(language).formatToParts(0.5);
    this.#decimal = parts.find(({ type }) => type === 'decimal')?.value ?? '.';
  }

  /** The text in the language, or as it is where the catalogue does not have it; spaces at its ends stay. */
  translate(text: string): string {
    const [, before = '', core = '', after = ''] = text.match(/^(\s*)(.*?)(\s*)$/s) ?? [];
    const english = core.replace(/\s+/g, ' ');
    const found = this.#find(english);
    return found === null ? text : before + found + after;
  }

  #find(english: string): string | null {
    const exact = this.#exact.get(english);
    if (exact !== undefined) return exact;
    if (NUMBER.test(english)) return english.replace('.', this.#decimal);
    for (const { words, names, translation } of this.#patterns) {
      const values = english.match(words)?.slice(1);
      if (!values) continue;
      return translation.replace(/\{(\w+)\}/g, (_, name: string) =>
        this.translate(values[names.indexOf(name)] ?? ''),
      );
    }
    return null;
  }
}

function own(pattern: string): number {
  return pattern.replace(/\{\w+\}/g, '').length;
}

function pattern(english: string, translation: string): Pattern {
  const names = [...english.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
  const words = english
    .split(/\{(\w+)\}/)
    .map((part, at) => {
      if (at % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      return COUNTS.has(part) ? '([\\d.]+)' : '(.+?)';
    })
    .join('');
  return { words: new RegExp(`^${words}$`, 's'), names, translation };
}
