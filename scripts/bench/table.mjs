/** The results as Markdown. */
import { median, spread } from './rounds.mjs';

const titles = {
  forward: 'forward',
  cam: 'forward + Grad-CAM',
  class: 'another class',
  load: 'load',
  digest: 'checksums, beside it',
};

const milliseconds = (value) => (value < 10 ? value.toFixed(1) : value.toFixed(0));

/** One table a place; times are the processor's where they are known, relative to the reference's forward pass on one thread. */
export function table(measured, reference) {
  const lines = [];
  for (const place of new Set(measured.map(({ where }) => where))) {
    const here = measured.filter(({ where }) => where === place);
    lines.push(
      `### ${here[0].version}`,
      '',
      '| classifier | what | engine | threads | CPU ms | spread | wall ms | CPU time / reference | MiB |',
      '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    );
    for (const row of here) {
      const base = here.find(
        (other) =>
          other.model === row.model &&
          other.engine === reference[place] &&
          other.threads === 1 &&
          other.what === (['load', 'digest'].includes(row.what) ? 'load' : 'forward'),
      );
      const part = base && row.cpu.length > 0 ? median(row.cpu) / median(base.cpu) : null;
      lines.push(
        `| ${[
          row.model,
          titles[row.what],
          row.engine,
          row.threads,
          row.cpu.length > 0 ? milliseconds(median(row.cpu)) : '',
          row.cpu.length > 0 ? `±${(100 * spread(row.cpu)).toFixed(0)} %` : '',
          milliseconds(median(row.wall)),
          part === null ? '' : part.toFixed(2),
          row.bytes ? Math.round(row.bytes / 2 ** 20) : '',
        ].join(' | ')} |`,
      );
    }
    lines.push('');
  }
  return lines.join('\n');
}
