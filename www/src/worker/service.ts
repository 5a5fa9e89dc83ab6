/**
 * The service worker: keeps the page's files by their hashes and answers with them, so that the page works without
 * network; it isolates the page where the host sends no headers for that, which is what threads need.
 */
import { addPlugins, cleanupOutdatedCaches, precacheAndRoute } from 'workbox-precaching';
import { COMPLETE } from '../offline/messages.ts';
import { Downloads, engineCache } from './download.ts';
import { Store } from './store.ts';

declare const self: ServiceWorkerGlobalScope;
declare const __KEPT_FILES__: { url: string; revision: string | null }[];
/** The build's WebAssembly files, by their paths below the page. */
declare const __ENGINES__: string[];

/** What the first visit needs besides the engine; other models are kept when they are first opened. */
const DEFAULT_MODELS = ['models/covid-xray/model.onnx', 'models/lungs/model.onnx'];

const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

const base = self.registration.scope;

addPlugins([{ handlerWillRespond: async ({ request, response }) => isolated(request, response) }]);
precacheAndRoute(__KEPT_FILES__, { ignoreURLParametersMatching: [/./] });
cleanupOutdatedCaches();

self.addEventListener('activate', (event) => {
  event.waitUntil(Promise.all([dropOld(), self.clients.claim()]));
});

self.addEventListener('message', (event) => {
  const { type } = event.data as { type: string };
  if (type === 'SKIP_WAITING') void self.skipWaiting();
  if (type === COMPLETE) {
    event.waitUntil(complete().then((whole) => event.ports[0]?.postMessage(whole)));
  }
});

/** A host's own headers stay as they are. */
function isolated(request: Request, response: Response): Response {
  if (request.mode === 'navigate' && !mayIsolate(request)) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATION)) {
    if (!headers.has(name)) headers.set(name, value);
  }
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}

/**
 * Isolation has broken WebAssembly on iOS before, and an iPad says that it is a Mac: Safari keeps to one thread where the
 * host does not decide otherwise, and so does every browser at an address with `?isolate=no`.
 */
function mayIsolate({ url }: Request): boolean {
  const safari = /AppleWebKit\//.test(navigator.userAgent) && !/Chrom/.test(navigator.userAgent);
  return !safari && new URL(url).searchParams.get('isolate') !== 'no';
}

/** Engines and models that this build does not have; the files of the page itself are workbox's. */
async function dropOld(): Promise<void> {
  const store = await Store.at(base);
  await store?.keepOnly(Object.values(__KNOWN_FILES__));
  const engines = await engineCache(base);
  const current = new Set(__ENGINES__.map((file) => new URL(file, base).href));
  const kept = (await engines?.keys()) ?? [];
  const gone = kept.filter(({ url }) => !current.has(url));
  await Promise.all(gone.map((request) => engines?.delete(request)));
}

/** Keeps what a visit needs and the page has not kept itself; false where something cannot be had. */
async function complete(): Promise<boolean> {
  try {
    const engines = await engineCache(base);
    const downloads = new Downloads(base, () => {});
    // The page keeps the one that it uses, with threads or without: the worker does not know which that is.
    if (!engines || (await engines.keys()).length === 0) return false;
    for (const model of DEFAULT_MODELS) await downloads.keep(new URL(model, base).href);
    return true;
  } catch {
    return false;
  }
}
