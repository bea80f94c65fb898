/** Tensors of random blocks, with scales that keep activations finite. Each is drawn from its name: the same in every run. */

import { createCipheriv, createHash } from 'node:crypto';
import { halfBits } from '../../lib/import/bits';
import { blockLength, rowBytes, type GgmlType } from '../../lib/model/gguf-types';
import { tensorBytes, type OutputTensor } from '../../lib/import/gguf-write';
import { randomFrom } from '../lengths';

/** Where a block keeps its f16 scales, and what makes weights of mean 0 and standard deviation 0.02 of random bits. */
const SCALES: Readonly<Partial<Record<GgmlType, readonly (readonly [offset: number, scale: number])[]>>> = {
  q8_0: [[0, 3e-4]],
  q4_K: [
    [0, 1e-4],
    [2, 7.5e-4],
  ],
  q6_K: [[208, 1.5e-5]],
};

/** Part of the cache folder's name: another number wherever other weights are drawn, so that no older ones are measured. */
export const DRAW = 3;

const BLOCKS_A_CHUNK = 65_536;

/** A quantised tensor, its weights `gain` times as large. No two are alike, nor two rows: one in another's place shows. */
export function randomTensor(name: string, type: GgmlType, ne: readonly [number, number], gain = 1): OutputTensor {
  return { name, type, ne, chunks: () => randomBlocks(name, { type, gain, bytes: tensorBytes({ type, ne }) }) };
}

interface Blocks {
  readonly type: GgmlType;
  readonly gain: number;
  readonly bytes: number;
}

/** Bytes of a stream cipher keyed by the name, which is quick; the scales of every block written over them. */
async function* randomBlocks(name: string, { type, gain, bytes }: Blocks): AsyncGenerator<Uint8Array> {
  const scales = SCALES[type];
  if (scales === undefined) throw new Error(`Expected one of ${Object.keys(SCALES).join(', ')} but received ${type}`);
  const key = createHash('sha256').update(name).digest().subarray(0, 16);
  const stream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const width = rowBytes(type, blockLength(type));
  const zeros = Buffer.alloc(BLOCKS_A_CHUNK * width);
  for (let at = 0; at < bytes; at += zeros.length) {
    const chunk = stream.update(zeros.subarray(0, Math.min(zeros.length, bytes - at)));
    const words = new Uint16Array(chunk.buffer, chunk.byteOffset, chunk.length / 2);
    for (const [offset, scale] of scales) {
      const bits = halfBits(gain * scale);
      for (let word = offset / 2; word < words.length; word += width / 2) words[word] = bits;
    }
    yield chunk;
  }
}

/** Small numbers of either sign, in f32. */
export function randomFloats(count: number, seed: number): Float32Array {
  const random = randomFrom(seed);
  return Float32Array.from({ length: count }, () => (random() - 0.5) * 0.03);
}
