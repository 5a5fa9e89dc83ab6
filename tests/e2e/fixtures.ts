/** What the end-to-end tests share: the built page on a free port, files of all kinds, and the page's landmarks. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { AxeBuilder } from '@axe-core/playwright';
import { test as base, expect, type Locator, type Page } from '@playwright/test';
import type { Report } from '../../www/src/types.ts';
import type {} from '../../www/src/window.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const dist = path.join(root, 'www', 'dist');
export const binary = path.join(root, 'target', 'release', 'gradlens');
const samplesFolder = path.join(root, 'www', 'public', 'samples');

export interface PictureFile {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

interface Serving {
  server: Server;
  address: string;
}

type Serve = (folder: string, port: number) => Promise<Serving>;

export async function serve(folder: string): Promise<Serving> {
  const script: string = '../../scripts/serve.mjs';
  const module = (await import(script)) as { serve: Serve };
  return module.serve(folder, 0);
}

export const test = base.extend<object, { address: string }>({
  address: [
    async ({}, use) => {
      if (!existsSync(path.join(dist, 'index.html'))) throw new Error('run `npm run build` first');
      const { server, address } = await serve(dist);
      await use(address);
      server.closeAllConnections();
      server.close();
    },
    { scope: 'worker' },
  ],
  baseURL: ({ address }, use) => use(address),
});

export { expect };

/** The synthetic pictures that come with the page. */
export function samples(): string[] {
  return readdirSync(samplesFolder)
    .filter((name) => /\.(png|jpe?g)$/.test(name))
    .sort()
    .map((name) => path.join(samplesFolder, name));
}

export function sample(index = 0): string {
  const file = samples()[index];
  if (!file) throw new Error('www/public/samples holds no pictures');
  return file;
}

/** Real X-rays, which are not part of the repository: empty where they are not at hand. */
export function xrays(): string[] {
  const folder = ['../shared', 'shared']
    .map((name) => path.join(root, name, 'xrays', 'article'))
    .find((name) => existsSync(name));
  if (!folder) return [];
  return readdirSync(folder)
    .filter((name) => /\.(png|jpe?g)$/.test(name))
    .sort()
    .map((name) => path.join(folder, name));
}

export function part(page: Page, id: string): Locator {
  return page.getByTestId(id);
}

export async function state(page: Page, ...wanted: string[]): Promise<void> {
  await expect(part(page, 'status')).toHaveAttribute(
    'data-state',
    new RegExp(`^(${wanted.join('|')})$`),
  );
}

export async function open(page: Page): Promise<void> {
  await page.goto('./');
  await state(page, 'ready');
}

export async function pick(page: Page, ...files: (string | PictureFile)[]): Promise<void> {
  const input = part(page, 'picture-input');
  const paths = files.filter((file) => typeof file === 'string');
  if (paths.length === files.length) {
    await input.setInputFiles(paths);
    return;
  }
  await input.setInputFiles(
    files.map((file) =>
      typeof file === 'string' ? named(path.basename(file), readFileSync(file)) : file,
    ),
  );
}

export function named(name: string, buffer: Buffer): PictureFile {
  return { name, mimeType: 'application/octet-stream', buffer };
}

/** A PNG that is all header: it says how large it is and holds nothing. */
export function hugePng(side: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', Buffer.alloc(0)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

export async function report(page: Page): Promise<Report> {
  const report = await page.evaluate(() => window.gradlens.report());
  if (!report) throw new Error('the page has no report');
  return report;
}

/** Runs the built command line in the project's folder. */
export function commandLine(...options: string[]): void {
  if (!existsSync(binary)) throw new Error('run `cargo build --release` first');
  execFileSync(binary, options, { cwd: root });
}

/** What the command line says about the same picture. */
export function commandLineReport(picture: string, ...options: string[]): Report {
  const out = mkdtempSync(path.join(tmpdir(), 'gradlens-'));
  commandLine('explain', picture, '--out', out, ...options);
  const file = `${path.parse(picture).name}.report.json`;
  return JSON.parse(readFileSync(path.join(out, file), 'utf8')) as Report;
}

/** The canvas's pixels as one number that changes when they do. */
export function pixelSum(page: Page): Promise<number> {
  return part(page, 'overlay').evaluate((canvas: HTMLCanvasElement) => {
    const data = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0;
    for (const [at, value] of (data ?? []).entries())
      sum = (sum * 31 + value + (at & 7)) % 2147483647;
    return sum;
  });
}

/** What `gradlens verify` says of the reports in a file. */
export function verify(file: string, pictures: string, ...options: string[]) {
  const call = ['verify', file, '--pictures', pictures, '--json', ...options];
  const { status, stdout, stderr } = spawnSync(binary, call, { cwd: root, encoding: 'utf8' });
  expect(stderr).toBe('');
  const lines = stdout.trim().split('\n');
  return { status, verdicts: lines.map((line) => JSON.parse(line)) };
}

/** No violation of WCAG 2.2 AA, nor of the best practices that axe knows, in the page as it is. */
export async function expectAccessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .analyze();
  expect(
    violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`),
  ).toEqual([]);
}

/** Nothing sticks out to the side, and whatever can be hit is 24 pixels wide and high. */
export async function expectFitting(page: Page, width: number): Promise<void> {
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
  const small = await page
    .locator('button:visible, select:visible, input:visible, [role=slider]:visible')
    .evaluateAll((controls) =>
      controls
        .map((control) => control.closest('label') ?? control)
        .filter((control) => {
          const { width, height } = control.getBoundingClientRect();
          return width < 24 || height < 24;
        })
        .map((control) => control.outerHTML.slice(0, 80)),
    );
  expect(small).toEqual([]);
}
