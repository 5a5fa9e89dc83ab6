/** The engines outside a browser: gradlens's own program, and the peers that Python has. Each is a process that is told by lines of JSON. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { must, root } from '../steps.mjs';
import { python } from './peers.mjs';

/** Null where nothing can be measured here. */
export async function native() {
  await must('cargo', ['build', '--release', '--example', 'speed']);
  const interpreter = await python();
  const windows = process.platform === 'win32';
  const own = path.join(root, 'target', 'release', 'examples', windows ? 'speed.exe' : 'speed');
  return {
    version: 'native',
    hasPeers: interpreter !== null,
    async open(name, threads) {
      const [command, args] =
        name === 'gradlens'
          ? [own, [threads]]
          : [interpreter, [path.join(root, 'scripts', 'bench', 'native.py'), name, threads]];
      const child = spawn(command, args.map(String), {
        cwd: root,
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...process.env, OMP_NUM_THREADS: String(threads) },
      });
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const ask = async (request) => {
        child.stdin.write(`${JSON.stringify(request)}\n`);
        const { value, done } = await lines.next();
        if (done) throw new Error(`${name} ended before it answered`);
        const answer = JSON.parse(value);
        if (answer.error) throw new Error(answer.error);
        return answer;
      };
      return {
        fetch: ({ name, size, model, manifest, picture }) =>
          ask({ do: 'fetch', name, size, model, manifest, picture: picture.toString('base64') }),
        load: () => ask({ do: 'load' }),
        run: (what, count) => ask({ do: 'run', what, count }),
        bytes: async () => (await ask({ do: 'memory' })).bytes,
        close: () => child.stdin.end(),
      };
    },
    async close() {},
  };
}
