/**
 * Tensors of random blocks with scales that keep activations finite. Speed does not depend on the values, rounding errors do: they
 * are the same ones every time.
 */

import { blockLength, rowBytes, type GgmlType } from '../../lib/model/gguf-types';
import { tensorBytes, type OutputTensor } from '../../lib/import/gguf-write';
import { randomFrom } from '../lengths';

/** Where a block keeps its f16 scales, and what goes there: about 0.02 a weight once expanded. */
const SCALES: Readonly<Partial<Record<GgmlType, readonly (readonly [offset: number, f16: number])[]>>> = {
  q8_0: [[0, 0x0cea]],
  q4_K: [
    [0, 0x068e],
    [2, 0x1225],
  ],
  q6_K: [[208, 0x00fc]],
};

const PATTERN_BLOCKS = 65_536;
const patterns = new Map<GgmlType, Buffer>();

/** A quantised tensor; the same few megabytes of blocks again and again. */
export function randomTensor(name: string, type: GgmlType, ne: readonly [number, number]): OutputTensor {
  const bytes = tensorBytes({ type, ne });
  return {
    name,
    type,
    ne,
    chunks: async function* () {
      const pattern = patternOf(type);
      for (let at = 0; at < bytes; at += pattern.length)
        yield pattern.subarray(0, Math.min(pattern.length, bytes - at));
    },
  };
}

/** Small numbers of either sign, in f32. */
export function randomFloats(count: number, seed: number): Float32Array {
  const random = randomFrom(seed);
  return Float32Array.from({ length: count }, () => (random() - 0.5) * 0.03);
}

function patternOf(type: GgmlType): Buffer {
  const known = patterns.get(type);
  if (known !== undefined) return known;
  const scales = SCALES[type];
  if (scales === undefined) throw new Error(`Expected one of ${Object.keys(SCALES).join(', ')} but received ${type}`);
  const width = rowBytes(type, blockLength(type));
  const random = randomFrom(width);
  const words = Uint32Array.from({ length: (PATTERN_BLOCKS * width) / 4 }, () => Math.floor(random() * 2 ** 32));
  const pattern = Buffer.from(words.buffer);
  for (let block = 0; block < PATTERN_BLOCKS; block += 1) {
    for (const [offset, f16] of scales) pattern.writeUInt16LE(f16, block * width + offset);
  }
  patterns.set(type, pattern);
  return pattern;
}
