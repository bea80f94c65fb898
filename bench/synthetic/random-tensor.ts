/** Tensors of random blocks, with scales that keep activations finite. Each is drawn from its name: the same one in every run. */

import { createCipheriv, createHash } from 'node:crypto';
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

/** Part of the cache folder's name: another number wherever other values are drawn, so that no older ones are measured. */
export const DRAW = 2;

const BLOCKS_A_CHUNK = 65_536;

/** A quantised tensor. No two are alike, nor two rows of one: a weight in another's place shows. */
export function randomTensor(name: string, type: GgmlType, ne: readonly [number, number]): OutputTensor {
  return { name, type, ne, chunks: () => randomBlocks(name, type, tensorBytes({ type, ne })) };
}

/** Bytes of a stream cipher keyed by the name, which is quick; the scales of every block written over them. */
async function* randomBlocks(name: string, type: GgmlType, bytes: number): AsyncGenerator<Uint8Array> {
  const scales = SCALES[type];
  if (scales === undefined) throw new Error(`Expected one of ${Object.keys(SCALES).join(', ')} but received ${type}`);
  const key = createHash('sha256').update(name).digest().subarray(0, 16);
  const stream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const width = rowBytes(type, blockLength(type));
  const zeros = Buffer.alloc(BLOCKS_A_CHUNK * width);
  for (let at = 0; at < bytes; at += zeros.length) {
    const chunk = stream.update(zeros.subarray(0, Math.min(zeros.length, bytes - at)));
    const words = new Uint16Array(chunk.buffer, chunk.byteOffset, chunk.length / 2);
    for (const [offset, f16] of scales) {
      for (let word = offset / 2; word < words.length; word += width / 2) words[word] = f16;
    }
    yield chunk;
  }
}

/** Small numbers of either sign, in f32. */
export function randomFloats(count: number, seed: number): Float32Array {
  const random = randomFrom(seed);
  return Float32Array.from({ length: count }, () => (random() - 0.5) * 0.03);
}
