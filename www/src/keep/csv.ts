/** The scores of all pictures as CSV (RFC 4180), the same columns as `gradlens explain --scores` writes. */
import type { LoadedModel, Picture } from '../session/visit.ts';

/** A row a picture that has scores. */
export function scoresCsv(pictures: readonly Picture[], { model }: LoadedModel): string {
  const labels = model.labels.map(({ id }) => id);
  const heads = [
    'picture',
    'sha256',
    'width',
    'height',
    'model',
    'model_sha256',
    'predicted',
    'gate_passed',
    ...labels.map((label) => `probability_${label}`),
    ...labels.map((label) => `logit_${label}`),
  ];
  const rows = pictures.flatMap(({ file, scored }) => {
    if (!scored) return [];
    const { opened } = scored;
    const best = opened.scores.reduce((best, score) => (score.logit > best.logit ? score : best));
    return [
      [
        text(file.name),
        opened.sha256,
        opened.width,
        opened.height,
        text(model.id),
        model.sha256,
        text(best.label),
        opened.companion?.gate?.passed ?? '',
        ...opened.scores.map(({ probability }) => probability ?? ''),
        ...opened.scores.map(({ logit }) => logit),
      ],
    ];
  });
  return [heads.map(text), ...rows].map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

/** A text that no spreadsheet takes for a formula: a quote goes before what would begin one. */
function text(value: string): string {
  return /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : value;
}

function field(value: string | number | boolean): string {
  const written = String(value);
  return /[",\r\n]/.test(written) ? `"${written.replaceAll('"', '""')}"` : written;
}
