/** What the stage shows, in sentences. */
import type { Explained, LoadedModel } from '../../session/visit.ts';
import { percent, raw } from '../text.ts';
import { read } from './map.ts';
import type { Point } from './camera.ts';

/** Method and class, as a title. */
export function subject(loaded: LoadedModel | null, { explanation }: Explained): string {
  const { report } = explanation;
  const label = loaded?.model.labels.find(({ index }) => index === report.explained.index);
  const other = loaded?.model.labels.find(({ id }) => id === report.explained.contrast);
  const method = loaded?.catalogue.methods.find(({ id }) => id === report.method);
  const against = other ? ` rather than ${other.name}` : '';
  const name = label?.name ?? report.explained.label;
  return `${method?.name ?? report.method} for ${name}${against}`;
}

/** Where the map peaks and how narrow it is. */
export function sentence(loaded: LoadedModel | null, explained: Explained): string {
  const { opened, explanation } = explained;
  const { peak, half_share: half, report } = explanation;
  const score = opened.scores.find(({ index }) => index === report.explained.index);
  const share = score?.probability == null ? '' : ` (${percent(score.probability)})`;
  const what = `${subject(loaded, explained)}${share}`;
  if (!peak) return `${what} has no highest place.`;
  const narrow = half == null ? '' : ` ${percent(half)} of the map reaches half of that.`;
  return `${what} is highest at the ${peak.words} of the picture as shown.${narrow}`;
}

/** What the map says at a point of the picture. */
export function reading({ opened, explanation }: Explained, at: Point): string {
  const x = Math.floor(at.x * opened.width);
  const y = Math.floor(at.y * opened.height);
  const { map } = explanation.report;
  const found = read({ map, region: opened.region }, x, y);
  const place = `x ${x}, y ${y}`;
  if (!found) return `${place}: outside of what the network saw`;
  const { value, cell } = found;
  const share = map.max > 0 ? `, ${Math.round((value / map.max) * 100)} % of the highest` : '';
  return `${place}: ${raw(value)}${share}; cell ${cell.column + 1}, ${cell.row + 1}: ${raw(cell.value)}`;
}
