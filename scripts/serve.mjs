/** Serves the built page on loopback, with the headers that it needs: `node scripts/serve.mjs`, PORT (8080) and FOLDER (www/dist) from the environment. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { root } from './steps.mjs';

const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.wasm': 'application/wasm',
  '.onnx': 'application/octet-stream',
};

const headers = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; " +
    "img-src 'self' blob: data:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'",
  // Cross-origin isolation, for threads and exact timers.
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** Starts the server; resolves with its address once it listens. `others` are headers instead of the page's own. */
export function serve(folder, port, others = {}) {
  const server = createServer((request, response) => {
    answer(folder, request, response, others).catch(() => refuse(response, 500));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      resolve({ server, address: `http://127.0.0.1:${server.address().port}/` });
    });
  });
}

async function answer(folder, request, response, others) {
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405);
  const file = locate(folder, request.url);
  const found = file && (await stat(file).catch(() => null));
  if (!found?.isFile()) return refuse(response, 404);
  const tag = `"${found.size.toString(16)}-${Math.trunc(found.mtimeMs).toString(16)}"`;
  const hashed = path.dirname(file).endsWith(`${path.sep}assets`);
  const whole = { start: 0, end: found.size - 1 };
  const part = partOf(request.headers, tag, found.size);
  const { start, end } = part ?? whole;
  const status = request.headers['if-none-match'] === tag ? 304 : part ? 206 : 200;
  response.writeHead(status, {
    ...headers,
    ...others,
    'Content-Type': types[path.extname(file)] ?? 'application/octet-stream',
    'Content-Length': end - start + 1,
    ...(status === 206 && { 'Content-Range': `bytes ${start}-${end}/${found.size}` }),
    'Accept-Ranges': 'bytes',
    'Cache-Control': hashed ? 'public, max-age=31536000, immutable' : 'no-cache',
    ETag: tag,
  });
  if (status === 304 || request.method === 'HEAD' || found.size === 0) return response.end();
  createReadStream(file, { start, end })
    .on('error', () => response.destroy())
    .pipe(response);
}

/** The one part of a file that a request asks for, so that broken downloads go on; null where it wants the whole. */
function partOf({ range, 'if-range': condition }, tag, size) {
  const [, first, last] = range?.match(/^bytes=(\d+)-(\d*)$/) ?? [];
  if (first === undefined || (condition !== undefined && condition !== tag)) return null;
  const start = Number(first);
  const end = Math.min(last ? Number(last) : size - 1, size - 1);
  return start <= end ? { start, end } : null;
}

/** The file that an address names, or null where it names something outside the folder. */
function locate(folder, url) {
  let name;
  try {
    name = decodeURIComponent(new URL(url, 'http://localhost').pathname);
  } catch {
    return null;
  }
  const file = path.join(folder, name.endsWith('/') ? `${name}index.html` : name);
  return file.startsWith(folder + path.sep) && !file.includes('\0') ? file : null;
}

function refuse(response, status) {
  response.writeHead(status, { ...headers, 'Content-Type': 'text/plain' });
  response.end(`${status}\n`);
}

if (import.meta.url === new URL(process.argv[1], 'file:').href) {
  const folder = path.resolve(root, process.env.FOLDER ?? 'www/dist');
  const port = Number(process.env.PORT ?? 8080);
  try {
    const { address } = await serve(folder, port);
    console.log(`gradlens is at ${address} (Ctrl+C ends it)`);
  } catch (error) {
    const taken = error.code === 'EADDRINUSE';
    console.error(taken ? `port ${port} is taken: set PORT to another one` : error.message);
    process.exit(1);
  }
}
