/** Menus of what can be asked: classes, methods by what they look at, layers by the size of their maps. */
import type { Layer, Method, ModelDescription } from '../types.ts';
import { make } from './dom.ts';

export interface Choice {
  value: string;
  text: string;
}

const KINDS: [Method['kind'], string][] = [
  ['layer', 'At a layer'],
  ['pixels', 'At the pixels'],
  ['scores', 'By further scores'],
];

export function fill(select: HTMLSelectElement, choices: Choice[]): void {
  select.replaceChildren(
    ...choices.map(({ value, text }) => make('option', { value, textContent: text })),
  );
}

export function classChoices({ labels }: ModelDescription): Choice[] {
  return labels.map(({ id, name }) => ({ value: id, text: name }));
}

export function fillMethods(select: HTMLSelectElement, methods: Method[]): void {
  const groups = KINDS.map(([kind, label]) =>
    make(
      'optgroup',
      { label },
      ...methods
        .filter((method) => method.kind === kind)
        .map(({ id, name, passes }) =>
          make('option', { value: id, textContent: passes ? `${name}, slow` : name }),
        ),
    ),
  );
  select.replaceChildren(...groups.filter(({ children }) => children.length > 0));
}

/** What a method computes and what it costs. */
export function about(method: Method | undefined): string {
  if (!method) return '';
  const cost = method.passes
    ? 'Many passes through the network: it takes its time, and can be stopped.'
    : 'One pass back through the network.';
  return `${method.about} ${cost}`;
}

/** The layers, the recommended one first, the others from the deepest on; those whose name holds `part`, and the chosen one. */
export function fillLayers(
  select: HTMLSelectElement,
  layers: Layer[],
  chosen: string,
  part = '',
): void {
  const fits = ({ name, recommended }: Layer): boolean =>
    name === chosen || recommended || name.toLowerCase().includes(part);
  const groups = new Map<string, Layer[]>();
  for (const layer of layers.filter(fits).reverse()) {
    const title = layer.recommended ? 'Recommended' : `Maps of ${layer.width} × ${layer.height}`;
    groups.set(title, [...(groups.get(title) ?? []), layer]);
  }
  const titles = [...groups.keys()].sort((a, b) => +(b === 'Recommended') - +(a === 'Recommended'));
  select.replaceChildren(
    ...titles.map((label) =>
      make(
        'optgroup',
        { label },
        ...(groups.get(label) ?? []).map(({ name, channels, height, width }) =>
          make('option', {
            value: name,
            textContent: `${name}: ${channels} × ${height} × ${width}`,
          }),
        ),
      ),
    ),
  );
}
