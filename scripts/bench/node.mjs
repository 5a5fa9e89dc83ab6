/** The engines in Node, each in a process of its own. */
import { fork } from 'node:child_process';
import path from 'node:path';
import { root } from '../steps.mjs';
import { peakMemory } from './processes.mjs';

const script = path.join(root, 'scripts', 'bench', 'child.mjs');

export async function node() {
  return {
    version: `Node ${process.version.slice(1)}`,
    async open(name, threads) {
      const child = fork(script, [name, String(threads)], { serialization: 'advanced' });
      const ask = asker(child);
      await ask('make');
      return {
        fetch: (classifier) => ask('fetch', classifier),
        load: () => ask('load'),
        digest: () => ask('digest'),
        run: (what, count) => ask('run', what, count),
        scores: () => ask('scores'),
        bytes: async () => peakMemory(child.pid),
        close: () => child.kill(),
      };
    },
    async close() {},
  };
}

/** Sends a child one request at a time, and waits for its answer. */
function asker(child) {
  return (method, ...args) =>
    new Promise((resolve, reject) => {
      const ended = (code) => reject(new Error(`the process ended with exit code ${code}`));
      child.once('exit', ended);
      child.once('message', ({ error, value }) => {
        child.off('exit', ended);
        if (error) reject(new Error(error));
        else resolve(value);
      });
      child.send({ method, args });
    });
}
