/** The dimensions of a base model and what its tensors take, from its GGUF's header. */

import { fileError } from './byte-file';
import { openGguf, readNumber, readText, type GgufFile, type GgufTensor } from './gguf-file';

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

/** Bytes of tensors as they are stored. */
export interface StoredBytes {
  readonly embedding: number;
  /** Of each matrix of the blocks. */
  readonly matrices: readonly number[];
}

export interface BaseFacts extends BaseShape {
  /** Of the file: weights as they are stored, and the header. */
  readonly fileBytes: number;
  readonly stored: StoredBytes;
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
    return { ...shapeFrom(valueOf, path), fileBytes: file.size, stored: storedBytes(file) };
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

function storedBytes({ tensors }: GgufFile): StoredBytes {
  const isMatrix = ({ name, ne }: GgufTensor): boolean => name.startsWith('blk.') && ne.length > 1;
  return {
    embedding: tensors.get('token_embd.weight')?.byteLength ?? 0,
    matrices: [...tensors.values()].filter(isMatrix).map(({ byteLength }) => byteLength),
  };
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
