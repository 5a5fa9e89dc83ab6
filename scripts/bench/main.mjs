/**
 * `npm run bench`: gradlens beside its peers, on the machine at hand.
 *
 *   --rounds N       measurements of each (10)
 *   --models A,B     classifiers (all)
 *   --where A,B      chromium, node, native (all): gradlens beside onnxruntime-web and TensorFlow.js (tfjs-wasm) in the first two, beside
 *                    onnxruntime and pytorch-grad-cam in the last
 *   --json FILE      writes an array of rows {model, what, engine, where, threads, cpu_ms, wall_ms, rounds}
 *   --doc            puts the tables into docs/speed.md
 */
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildEngine, buildEngines } from '../engine.mjs';
import { checkRust, heading, installModules, root } from '../steps.mjs';
import { classifier, names } from './classifiers.mjs';
import { installPeers } from './peers.mjs';
import { measure, median, mustAgree, prepare } from './rounds.mjs';
import { table } from './table.mjs';
import { converted } from './tfjs.mjs';

/** The engines of each place, and the one that the others are compared with. */
const places = {
  chromium: {
    start: async (classifiers) => (await import('./chromium.mjs')).browser(classifiers),
    engines: [
      ['gradlens', 1],
      ['gradlens', 2],
      ['onnxruntime-web', 1],
      ['onnxruntime-web', 2],
      ['tfjs-wasm', 1],
      ['tfjs-wasm', 2],
    ],
    reference: 'onnxruntime-web',
  },
  node: {
    start: async () => (await import('./node.mjs')).node(),
    engines: [
      ['gradlens', 1],
      ['onnxruntime-web', 1],
      ['tfjs-wasm', 1],
    ],
    reference: 'onnxruntime-web',
  },
  native: {
    start: async () => (await import('./native.mjs')).native(),
    engines: [
      ['gradlens', 1],
      ['gradlens', 2],
      ['onnxruntime', 1],
      ['onnxruntime', 2],
      ['pytorch-autograd', 1],
      ['pytorch-autograd', 2],
      ['pytorch-grad-cam', 1],
      ['pytorch-grad-cam', 2],
    ],
    reference: 'onnxruntime',
  },
};

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    models: { type: 'string', default: names.join(',') },
    where: { type: 'string', default: Object.keys(places).join(',') },
    json: { type: 'string' },
    doc: { type: 'boolean', default: false },
  },
});

const started = (text) => `<!-- ${text} starts -->`;
const ended = (text) => `<!-- ${text} ends -->`;

/** Puts the tables between their marks in docs/speed.md. */
function writeDocument(text) {
  const file = path.join(root, 'docs', 'speed.md');
  const document = readFileSync(file, 'utf8');
  const [start, end] = [started('bench'), ended('bench')].map((mark) => document.indexOf(mark));
  if (start < 0 || end < start) throw new Error('docs/speed.md has no marks for the tables');
  const before = document.slice(0, start + started('bench').length);
  writeFileSync(file, `${before}\n${text}\n${document.slice(end)}`);
}

/** Gives each engine the classifier. An engine for which it was converted is left out where it fails, or has not the reference's scores. */
async function prepared(runners, given, reference) {
  const right = [];
  let expected = null;
  for (const each of runners) {
    const { engine, runner } = each;
    const converted = engine === 'tfjs-wasm';
    try {
      await prepare(runner, given);
      if (converted) mustAgree(await runner.scores(), expected);
      right.push(each);
    } catch (error) {
      if (!converted) throw error;
      console.log(`${engine} is left out for ${given.name}: ${error.message.split('\n')[0]}`);
    }
    if (engine === reference) expected = await runner.scores?.();
  }
  return right;
}

async function measurePlace(where, classifiers, rounds) {
  const { start, engines } = places[where];
  const place = await start(classifiers);
  const rows = [];
  try {
    for (const given of classifiers) {
      const runners = [];
      for (const [engine, threads] of engines) {
        if (place.hasPeers === false && engine !== 'gradlens') {
          console.log(`${engine} is left out: there is no Python with its packages`);
          continue;
        }
        if (engine === 'tfjs-wasm' && given.tfjs === null) continue;
        runners.push({ engine, threads, runner: await place.open(engine, threads) });
      }
      const right = await prepared(runners, given, places[where].reference);
      const { results, memory } = await measure(right, rounds);
      for (const { runner } of runners) await runner.close();
      const added = results.map((row) => {
        const found = memory.find((of) => of.engine === row.engine && of.threads === row.threads);
        return { model: given.name, where, version: place.version, bytes: found.bytes, ...row };
      });
      rows.push(...added);
      console.log(`${where}: ${given.name} done`);
    }
  } finally {
    await place.close();
  }
  return rows;
}

async function bench() {
  checkRust();
  const rounds = Number(options.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${options.rounds}?`);
  const listed = (text, known, what) => {
    const chosen = text.split(',');
    const unknown = chosen.find((name) => !known.includes(name));
    if (unknown !== undefined)
      throw new Error(`${what} ${unknown}? There are: ${known.join(', ')}`);
    return chosen;
  };
  const models = listed(options.models, names, '--models');
  const wheres = listed(options.where, Object.keys(places), '--where');
  heading('What is missing');
  await installModules();
  const versions = await installPeers();
  if (!wheres.includes('chromium')) {
    await buildEngine();
  } else if (!(await buildEngines())) {
    throw new Error('the engine with threads could not be built');
  }
  const classifiers = [];
  for (const name of models) {
    const found = await classifier(name);
    if (found === null) console.log(`${name} is left out: there is no Python to export it with`);
    else classifiers.push(found);
  }
  const scripted = wheres.some((where) =>
    places[where].engines.some(([name]) => name === 'tfjs-wasm'),
  );
  for (const given of classifiers) given.tfjs = scripted ? await converted(given) : null;
  heading('Measuring');
  const measured = [];
  for (const where of wheres) measured.push(...(await measurePlace(where, classifiers, rounds)));
  const reference = Object.fromEntries(wheres.map((where) => [where, places[where].reference]));
  const load = os.loadavg()[0].toFixed(1);
  const about = [
    `${Object.entries(versions)
      .map((pair) => pair.join(' '))
      .join(', ')}; ${rounds} rounds in turns, medians;`,
    `${os.cpus()[0]?.model.trim()}, ${os.cpus().length} processors, load ${load} at the end.`,
  ].join(' ');
  const text = `${about}\n\n${table(measured, reference)}`;
  heading('Results');
  console.log(text);
  if (options.doc) writeDocument(text);
  if (options.json) {
    const rows = measured.map(({ model, what, engine, where, threads, cpu, wall }) => ({
      model,
      what,
      engine,
      where,
      threads,
      cpu_ms: median(cpu),
      wall_ms: median(wall),
      rounds: wall.length,
    }));
    writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
  }
}

await bench().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
