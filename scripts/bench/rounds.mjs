/** Measuring engines in turns, so that a change of the machine's speed meets all alike. */

/** Milliseconds that one measurement should last at least, so that clocks are fine enough. */
const LEAST = 200;

/** What can be asked of an engine. */
const abilities = {
  gradlens: ['load', 'digest', 'forward', 'cam', 'class'],
  'pytorch-autograd': ['load', 'cam'],
  'pytorch-grad-cam': ['load', 'cam'],
  'tfjs-wasm': ['load', 'forward', 'cam', 'class'],
};

const does = (engine, what) => (abilities[engine] ?? ['load', 'forward']).includes(what);

/** Gives an engine the classifier. The first load compiles what later ones use. */
export async function prepare(runner, classifier) {
  await runner.fetch(classifier);
  await runner.load();
}

/** Scores must be those of another engine, as far as sums in another order are. */
export function mustAgree(scores, others) {
  const largest = Math.max(...others.map(Math.abs));
  const near = (score, index) => Math.abs(score - others[index]) <= 1e-3 * largest;
  if (scores.length === others.length && scores.every(near)) return;
  throw new Error(`it has the scores ${scores} instead of ${others}`);
}

/** Measures each engine on a classifier that it has; a list of `{engine, threads, what, cpu, wall}`, a list of milliseconds each. */
export async function measure(runners, rounds) {
  const results = [];
  const collect = async (what, times, count, action) => {
    const can = ({ runner }) => what !== 'digest' || 'digest' in runner;
    const able = runners.filter(({ engine }) => does(engine, what)).filter(can);
    const found = able.map(({ engine, threads }) => ({ engine, threads, what, cpu: [], wall: [] }));
    for (let round = 0; round < times; round++) {
      for (const [index, { runner }] of able.entries()) {
        const { cpu, wall } = await action(runner, count[index] ?? 1);
        found[index].wall.push(wall / (count[index] ?? 1));
        if (cpu !== null) found[index].cpu.push(cpu / (count[index] ?? 1));
      }
    }
    results.push(...found);
  };
  await collect('load', Math.min(rounds, 3), [], (runner) => runner.load());
  // Before any report: who has no checksum when a report needs it computes it then.
  await collect('digest', Math.min(rounds, 3), [], (runner) => runner.digest());
  for (const what of ['forward', 'cam', 'class']) {
    const counts = [];
    for (const { engine, runner } of runners) {
      if (!does(engine, what)) continue;
      // Twice: browsers compile a function anew once it has run for a while.
      await runner.run('forward' === what || !does(engine, 'forward') ? what : 'forward', 3);
      const { wall } = await runner.run(what, 3);
      counts.push(Math.max(1, Math.ceil(LEAST / (wall / 3))));
    }
    await collect(what, rounds, counts, (runner, count) => runner.run(what, count));
  }
  const bytes = await Promise.all(runners.map(({ runner }) => runner.bytes()));
  const memory = runners.map(({ engine, threads }, index) => ({
    engine,
    threads,
    bytes: bytes[index],
  }));
  return { results, memory };
}

/** The middle of a list. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return null;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Half of the range that the middle half of a list spans, as a part of its median. */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part) => sorted[Math.round(part * (sorted.length - 1))];
  return sorted.length === 0 ? null : (at(0.75) - at(0.25)) / 2 / median(sorted);
}
