/** Settings of models that the visitor opened, by the hash of the model's file. They stay in this browser. */
import type { Manifest } from './types.ts';

const PREFIX = 'gradlens.settings/1/';
/** Models whose settings are kept; the one that was changed longest ago goes first. */
const MOST = 50;

interface Entry {
  changed: number;
  manifest: Manifest;
}

export function kept(sha256: string): Manifest | null {
  return read(PREFIX + sha256)?.manifest ?? null;
}

/** Keeps the settings of a model; null forgets them. A browser that keeps nothing is no reason to fail. */
export function remember(sha256: string, manifest: Manifest | null): void {
  try {
    localStorage.removeItem(PREFIX + sha256);
    if (!manifest) return;
    makeRoom();
    const entry: Entry = { changed: Date.now(), manifest };
    localStorage.setItem(PREFIX + sha256, JSON.stringify(entry));
  } catch {
    // Full, or switched off: the settings hold for this visit.
  }
}

function makeRoom(): void {
  const keys = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
  keys
    .sort((a, b) => (read(a)?.changed ?? 0) - (read(b)?.changed ?? 0))
    .slice(0, Math.max(0, keys.length + 1 - MOST))
    .forEach((key) => localStorage.removeItem(key));
}

function read(key: string): Entry | null {
  try {
    const text = localStorage.getItem(key);
    return text === null ? null : (JSON.parse(text) as Entry);
  } catch {
    return null;
  }
}
