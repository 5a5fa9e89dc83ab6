/**
 * Empties functions of the engine that no image classifier needs, so that visitors do not download them.
 *
 * tract's operators are in one table: a linker keeps Fourier transforms and recurrent networks because some model might ask for
 * them. `model::onnx::check` refuses such a model in the page, in one line, and so nothing calls what is emptied here; if something
 * did, WebAssembly would trap, and the page start its engine anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** Crates that nothing but unneeded code uses: every function that has to do with their types goes. */
const crates = [
  'rustfft', // sound
  'tract_nnef', // tract's own file format
  'erased_serde', // settings of tract's rewritings, by name, for its command line
];

/** Modules: their functions and the methods of their types go, and what is generic over these types stays. */
const modules = [
  'transpose', // of rustfft
  'tract_core::batchify',
  'tract_core::transform',
  'tract_core::ops::fft',
  'tract_onnx::ops::fft',
  // Recurrent networks, and loops.
  'tract_core::ops::scan',
  'tract_hir::ops::scan',
  'tract_core::ops::gru_cell',
  'tract_core::ops::gru_seq',
  'tract_core::ops::lstm_cell',
  'tract_onnx::ops::rec',
  // Trees and tables of ONNX-ML.
  'tract_onnx::ops::ml',
  'tract_onnx_opl::ml',
  // Random numbers.
  'tract_onnx::ops::random',
  'tract_onnx::ops::multinomial',
  'tract_onnx_opl::multinomial',
  'tract_onnx_opl::random',
  // Boxes of detectors.
  'tract_onnx_opl::non_max_suppression',
  // Weights of language models in blocks.
  'tract_onnx::ops::nn::gather_block_quantized',
  'tract_onnx::ops::nn::mat_mul_nbits',
  'tract_onnx::ops::nn::rotary_embedding',
];

/** Traits, of which whatever type has them. */
const traits = ['tract_linalg::frame::block_quant::BlockQuant'];

/** They run at the start, and name what is emptied without calling it. */
const kept = /__ctor|ErasedNode>::submit|register_all_ops/;

const escaped = (path) => path.replaceAll(':', '\\:');
const unneeded = [
  ...crates.map((path) => [path, new RegExp(`\\b${escaped(path)}::`)]),
  ...modules.map((path) => [path, new RegExp(`^<*(?:dyn |&|mut )*${escaped(path)}::`)]),
  ...traits.map((path) => [path, new RegExp(` as ${escaped(path)}>::`)]),
];

/** No locals, `unreachable`, the end. */
const empty = Buffer.from([0, 0, 0x0b]);
const section = { custom: 0, imports: 2, code: 10 };

/** Empties the functions of a WebAssembly file, which must hold their names, and takes the names away unless they are wanted. */
export function trim(file, { names: keepNames = false } = {}) {
  const bytes = readFileSync(file);
  const sections = [...sectionsOf(bytes)];
  const names = sections.map(namesIn).find((found) => found !== null);
  if (names === undefined) throw new Error(`${file} holds no names of functions`);
  const imported = sections.filter(({ id }) => id === section.imports).map(importedFunctions);
  const first = imported.reduce((sum, count) => sum + count, 0);
  const met = new Map(unneeded.map(([path]) => [path, 0]));
  const parts = [bytes.subarray(0, 8)];
  for (const given of sections) {
    if (given.id === section.code) {
      const body = emptied(given.body, (index) => {
        const name = names.get(first + index) ?? '';
        if (kept.test(name)) return false;
        const [path] = unneeded.find(([, pattern]) => pattern.test(name)) ?? [];
        if (path !== undefined) met.set(path, met.get(path) + 1);
        return path !== undefined;
      });
      parts.push(Buffer.from([given.id]), number(body.length), body);
    } else if (keepNames || !isNames(given)) {
      parts.push(given.whole);
    }
  }
  const missed = [...met].filter(([, count]) => count === 0).map(([path]) => path);
  if (missed.length > 0) throw new Error(`${file} has no function of ${missed.join(', ')}`);
  writeFileSync(file, Buffer.concat(parts));
}

/** The sections of a file: their number, what they hold, and the bytes of the whole. */
function* sectionsOf(bytes) {
  let at = 8;
  while (at < bytes.length) {
    const [length, start] = readNumber(bytes, at + 1);
    const end = start + length;
    yield { id: bytes[at], body: bytes.subarray(start, end), whole: bytes.subarray(at, end) };
    at = end;
  }
}

/** The code section with the chosen functions emptied. */
function emptied(body, chosen) {
  let [count, at] = readNumber(body, 0);
  const parts = [number(count)];
  for (let index = 0; index < count; index++) {
    const [length, start] = readNumber(body, at);
    const end = start + length;
    if (chosen(index)) parts.push(number(empty.length), empty);
    else parts.push(body.subarray(at, end));
    at = end;
  }
  return Buffer.concat(parts);
}

const textAt = (body, at) => {
  const [length, start] = readNumber(body, at);
  return [body.toString('utf8', start, start + length), start + length];
};

const isNames = ({ id, body }) => id === section.custom && textAt(body, 0)[0] === 'name';

/** The functions' names by their numbers, where it is the section that holds them. */
function namesIn(given) {
  if (!isNames(given)) return null;
  const { body } = given;
  const names = new Map();
  let at = textAt(body, 0)[1];
  while (at < body.length) {
    const [length, start] = readNumber(body, at + 1);
    const functions = 1;
    if (body[at] === functions) {
      let [count, next] = readNumber(body, start);
      for (; count > 0; count--) {
        const [index, after] = readNumber(body, next);
        const [name, end] = textAt(body, after);
        // Without the checksums of crates.
        names.set(index, name.replace(/\[[0-9a-f]{8,16}\]/g, ''));
        next = end;
      }
    }
    at = start + length;
  }
  return names;
}

/** How many of a file's imports are functions; these are counted first. */
function importedFunctions({ body }) {
  let [count, at] = readNumber(body, 0);
  let functions = 0;
  const skip = () => {
    at = readNumber(body, at)[1];
  };
  const skipLimits = () => {
    const hasEnd = body[at] & 1;
    skip();
    skip();
    if (hasEnd) skip();
  };
  const kinds = [
    () => {
      functions += 1;
      skip();
    },
    () => {
      at += 1;
      skipLimits();
    },
    skipLimits,
    () => {
      at += 2;
    },
  ];
  for (; count > 0; count--) {
    at = textAt(body, at)[1];
    at = textAt(body, at)[1];
    const kind = kinds[body[at]];
    if (kind === undefined) throw new Error(`an import of the unknown kind ${body[at]}`);
    at += 1;
    kind();
  }
  return functions;
}

/** A number as WebAssembly writes it (LEB128), and where it ends. */
function readNumber(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7, at++) {
    value += (bytes[at] & 0x7f) * 2 ** shift;
    if (bytes[at] < 0x80) return [value, at + 1];
  }
}

function number(value) {
  const bytes = [];
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value > 0);
  return Buffer.from(bytes);
}
