/** How the page is built: relative addresses (it works from any folder), a module worker, and the shipped model beside it. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Copies the files that the page downloads by name; they are not modules. */
function shippedModels(names: string[]): Plugin {
  const files = ['model.onnx', 'manifest.json'];
  return {
    name: 'gradlens-shipped-models',
    async generateBundle() {
      for (const name of names) {
        for (const file of files) {
          const fileName = `models/${name}/${file}`;
          this.emitFile({ type: 'asset', fileName, source: await readFile(`${root}/${fileName}`) });
        }
      }
    },
  };
}

export default defineConfig({
  base: './',
  clearScreen: false,
  plugins: [shippedModels(['covid-xray', 'covid-xray-inception', 'shortcut-xray', 'lungs'])],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 2000,
  },
  worker: { format: 'es' },
});
