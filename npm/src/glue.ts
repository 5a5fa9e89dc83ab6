/** The JavaScript around the engine's WebAssembly. The package carries a copy of it in its own folder. */
export * from '../../www/src/wasm/gradlens.js';
export { default } from '../../www/src/wasm/gradlens.js';
