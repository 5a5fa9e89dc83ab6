/** `npm start`: builds what is not built yet and serves the page on loopback, port 8080 or PORT. */
import path from 'node:path';
import { build } from './build.mjs';
import { root } from './steps.mjs';
import { serve } from './serve.mjs';

const port = Number(process.env.PORT ?? 8080);

try {
  await build();
  const { address } = await serve(path.join(root, 'www', 'dist'), port);
  console.log(`\ngradlens is at ${address} (Ctrl+C ends it)`);
} catch (error) {
  const taken = error.code === 'EADDRINUSE';
  console.error(taken ? `port ${port} is taken: set PORT to another one` : error.message);
  process.exit(1);
}
