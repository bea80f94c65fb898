/** The dimensions of a base model and what its tensors take, from its GGUF's header. */

import { fileError } from './byte-file';
import { openGguf, readNumber, readText, type GgufFile, type GgufTensor } from './gguf-file';
import type { GgmlType } from './gguf-types';

/** Numbers that all parts of a model follow from. */
export interface BaseShape {
  readonly architecture: string;
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly feedForward: number;
}

/** A tensor as it lies in the file. */
export interface StoredTensor {
  readonly type: GgmlType;
  readonly values: number;
  readonly bytes: number;
}

export interface StoredTensors {
  /** Null in a file without one. */
  readonly embedding: StoredTensor | null;
  /** Each matrix of the blocks. */
  readonly matrices: readonly StoredTensor[];
}

export interface BaseFacts extends BaseShape {
  /** Of the file: weights as they are stored, and the header. */
  readonly fileBytes: number;
  readonly stored: StoredTensors;
}

/** A linear layer of a block: y (tokens, outputs) = x (tokens, inputs) W. */
export interface LinearShape {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
}

/** A metadata value by its key, or undefined. */
export type ValueOf = (key: string) => string | number | undefined;

/** Throws ERR_MODEL_FILE. */
export async function readBaseFacts(path: string): Promise<BaseFacts> {
  const file = await openGguf(path);
  try {
    const valueOf: ValueOf = (key) => readText(file.values.get(key)) ?? readNumber(file.values.get(key));
    return { ...shapeFrom(valueOf, path), fileBytes: file.size, stored: storedTensors(file) };
  } finally {
    await file.close();
  }
}

export function shapeFrom(valueOf: ValueOf, path: string): BaseShape {
  const architecture = String(valueOf('general.architecture') ?? 'nothing');
  const number = (key: string, other?: number): number => {
    const value = valueOf(`${architecture}.${key}`) ?? other;
    if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
    throw fileError(
      path,
      `Expected a whole number above 0 for ${architecture}.${key} but received ${value ?? 'nothing'}`,
    );
  };
  const hidden = number('embedding_length');
  const heads = number('attention.head_count');
  return {
    architecture,
    layers: number('block_count'),
    hidden,
    heads,
    kvHeads: number('attention.head_count_kv', heads),
    headDim: number('attention.key_length', Math.floor(hidden / heads)),
    feedForward: number('feed_forward_length'),
  };
}

function storedTensors({ tensors }: GgufFile): StoredTensors {
  const isMatrix = ({ name, ne }: GgufTensor): boolean => name.startsWith('blk.') && ne.length > 1;
  const embedding = tensors.get('token_embd.weight');
  return {
    embedding: embedding === undefined ? null : storedTensor(embedding),
    matrices: [...tensors.values()].filter(isMatrix).map(storedTensor),
  };
}

function storedTensor({ type, ne, byteLength }: GgufTensor): StoredTensor {
  return { type, values: ne.reduce((product, size) => product * size, 1), bytes: byteLength };
}

/** As our engine multiplies: q, k and v packed, gate and up packed. */
export function linearShapes(shape: BaseShape): readonly LinearShape[] {
  const { hidden, heads, kvHeads, headDim, feedForward } = shape;
  return [
    { name: 'qkv', inputs: hidden, outputs: (heads + 2 * kvHeads) * headDim },
    { name: 'out', inputs: heads * headDim, outputs: hidden },
    { name: 'gate-up', inputs: hidden, outputs: 2 * feedForward },
    { name: 'down', inputs: feedForward, outputs: hidden },
  ];
}

/** Multiply-adds count as two; the linear layers of all blocks, no vocabulary projection, no attention. */
export function flopsPerToken(shape: BaseShape): number {
  return 2 * shape.layers * linearShapes(shape).reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0);
}
