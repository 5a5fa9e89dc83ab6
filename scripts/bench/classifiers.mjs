/** The classifiers that are measured, their files, and a picture for each. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { must, root } from '../steps.mjs';
import { python } from './peers.mjs';

const folder = path.join(root, 'target', 'bench', 'models');

/** Rows and columns of the picture that each takes. */
const sizes = {
  'covid-xray': 224,
  'covid-xray-inception': 256,
  densenet121: 224,
  mobilenet_v3_large: 224,
  resnet50: 224,
};

export const names = Object.keys(sizes);

/** One classifier: its ONNX file, its manifest where it has one, and a picture of its size. Null where it cannot be made here. */
export async function classifier(name) {
  const size = sizes[name];
  const shipped = path.join(root, 'models', name);
  const picture = png(size);
  if (existsSync(path.join(shipped, 'model.onnx'))) {
    const manifest = JSON.parse(readFileSync(path.join(shipped, 'manifest.json'), 'utf8'));
    // The classifier alone is measured: without the segmenter that looks at the picture first.
    delete manifest.companion;
    if (manifest.preprocessing.crop === 'lungs') manifest.preprocessing.crop = 'none';
    const model = path.join(shipped, 'model.onnx');
    return { name, size, model, manifest: JSON.stringify(manifest), picture };
  }
  const model = path.join(folder, `${name}.onnx`);
  if (!existsSync(model)) {
    const interpreter = await python();
    if (interpreter === null) return null;
    mkdirSync(folder, { recursive: true });
    await must(interpreter, [path.join('scripts', 'bench', 'export.py'), folder, name]);
  }
  return { name, size, model, manifest: null, picture };
}

/** A smooth grey pattern as a PNG file: what a network costs does not depend on what it sees. */
function png(size) {
  const pitch = 3 * size + 1;
  const pixels = Buffer.alloc(size * pitch);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const grey = Math.round(127 + 60 * Math.sin(x / 9) + 60 * Math.cos(y / 13));
      pixels.fill(grey, y * pitch + 1 + 3 * x, y * pitch + 4 + 3 * x);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 2], 8);
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  const body = deflateSync(pixels);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', body),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}
