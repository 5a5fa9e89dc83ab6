/** Builds the page into www/dist/, engine included; installs what is missing first. */
import { buildEngines } from './engine.mjs';
import { buildPage, checkRust, heading, installModules } from './steps.mjs';

export async function build() {
  checkRust();
  heading('Packages of the page');
  await installModules();
  heading('Engine (Rust to WebAssembly), with and without threads');
  await buildEngines();
  heading('Page');
  await buildPage();
}

if (import.meta.url === new URL(process.argv[1], 'file:').href) {
  await build().catch((error) => {
    console.error(error.message);
    process.exit(1);
  });
}
