/** What the checks of this visit found, by the map that they are about. */
import type { CheckEntry } from '../doubt.ts';
import type { LoadedModel, Shown } from './visit.ts';

/** Maps whose findings are kept: a finding is small, a visit may be long. */
const MOST_MAPS = 200;

export class Doubts {
  readonly #found = new Map<string, Map<string, CheckEntry>>();

  add(map: string, entry: CheckEntry): void {
    const entries = this.#found.get(map) ?? new Map<string, CheckEntry>();
    entries.set(entry.check, entry);
    this.#found.delete(map);
    this.#found.set(map, entries);
    const [oldest] = this.#found.keys();
    if (this.#found.size > MOST_MAPS && oldest !== undefined) this.#found.delete(oldest);
  }

  of(map: string | null): CheckEntry[] {
    return map === null ? [] : [...(this.#found.get(map)?.values() ?? [])];
  }
}

/** What names a map for as long as the visit lasts: picture, model, its settings, and the question. Colours and opacity do not count. */
export function mapOf({
  shown,
  loaded,
}: {
  shown: Shown | null;
  loaded: LoadedModel | null;
}): string | null {
  if (!shown || !loaded) return null;
  const { sha256, manifest } = loaded.model;
  return JSON.stringify([shown.picture.key, sha256, manifest, shown.options]);
}
