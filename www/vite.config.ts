/** How the page is built: relative addresses (it works from any folder), index.html from its parts, a module worker, the shipped models beside it, and a service worker that knows every file. */
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, defineConfig, type Plugin, type UserConfig } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
const models = ['covid-xray', 'covid-xray-inception', 'shortcut-xray', 'lungs'];
const target = 'es2022';

/** Puts parts/NAME.html where index.html says `<!-- part: NAME -->`. */
function parts(): Plugin {
  return {
    name: 'gradlens-parts',
    transformIndexHtml: {
      order: 'pre',
      async handler(html) {
        const named = [...html.matchAll(/<!-- part: (\w+) -->/g)];
        const texts = named.map(([, name]) => readFile(`${root}/www/parts/${name}.html`, 'utf8'));
        const found = await Promise.all(texts);
        return named.reduce((page, [mark], at) => page.replace(mark, () => found[at] ?? ''), html);
      },
    },
  };
}

/** Copies the files that the page downloads by name; they are not modules. */
function shippedModels(): Plugin {
  const files = ['model.onnx', 'manifest.json'];
  return {
    name: 'gradlens-shipped-models',
    async generateBundle() {
      for (const name of models) {
        for (const file of files) {
          const fileName = `models/${name}/${file}`;
          this.emitFile({ type: 'asset', fileName, source: await readFile(`${root}/${fileName}`) });
        }
      }
    },
  };
}

/** What the page knows of the large files before it downloads them: it keeps them by their hash. */
async function knownFiles(): Promise<Record<string, { sha256: string; bytes: number }>> {
  const entries = models.map(async (name) => {
    const file = `models/${name}/model.onnx`;
    const bytes = await readFile(`${root}/${file}`);
    return [file, { sha256: digest(bytes), bytes: bytes.length }] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/**
 * Builds the service worker last, with the list of the files that it keeps: all but the engines and the models, which are
 * kept when a visit needs them (who has one thread never downloads the engine for several).
 */
function serviceWorker(known: string): Plugin {
  let folder = '';
  return {
    name: 'gradlens-service-worker',
    configResolved: (config) => {
      folder = path.resolve(config.root, config.build.outDir);
    },
    closeBundle: {
      sequential: true,
      async handler() {
        const found = await readdir(folder, { recursive: true, withFileTypes: true });
        const files = found
          .filter((entry) => entry.isFile())
          .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
          .map((file) => file.split(path.sep).join('/'))
          .sort();
        const kept = files.filter((file) => !/^icons\/|\.(wasm|onnx)$/.test(file));
        const entries = await Promise.all(
          kept.map(async (url) => ({
            url,
            // What the build names by its content needs no other mark.
            revision: url.startsWith('assets/') ? null : digest(await readFile(`${folder}/${url}`)),
          })),
        );
        await build({
          configFile: false,
          publicDir: false,
          root: path.join(root, 'www'),
          logLevel: 'warn',
          define: {
            __KEPT_FILES__: JSON.stringify(entries),
            __ENGINES__: JSON.stringify(files.filter((file) => file.endsWith('.wasm'))),
            __KNOWN_FILES__: known,
            'process.env.NODE_ENV': '"production"',
          },
          build: {
            outDir: folder,
            emptyOutDir: false,
            target,
            modulePreload: false,
            reportCompressedSize: false,
            rolldownOptions: {
              input: path.join(root, 'www', 'src', 'worker', 'service.ts'),
              output: { format: 'iife', entryFileNames: 'sw.js' },
            },
          },
        });
      },
    },
  };
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export default defineConfig(async (): Promise<UserConfig> => {
  const known = JSON.stringify(await knownFiles());
  return {
    base: './',
    clearScreen: false,
    define: { __KNOWN_FILES__: known },
    plugins: [parts(), shippedModels(), serviceWorker(known)],
    build: {
      outDir: 'dist',
      emptyOutDir: true,
      target,
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0,
      reportCompressedSize: false,
      chunkSizeWarningLimit: 2000,
    },
    worker: { format: 'es' },
  };
});
