/** The dimensions of a base model, from its GGUF's header. */

import { stat } from 'node:fs/promises';
import { PairscoreError } from '../errors';
import { readGgufScalars, type GgufScalars } from './gguf-header';

export interface BaseFacts {
  readonly architecture: string;
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly feedForward: number;
  /** Of the file: weights as they are stored, and the header. */
  readonly fileBytes: number;
}

/** A linear layer of a block: y (tokens, outputs) = x (tokens, inputs) W. */
export interface LinearShape {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
}

/** Throws ERR_MODEL_FILE. */
export async function readBaseFacts(path: string): Promise<BaseFacts> {
  const values = await readGgufScalars(path);
  return { ...factsFrom(values, path), fileBytes: (await stat(path)).size };
}

export function factsFrom(values: GgufScalars, path: string): Omit<BaseFacts, 'fileBytes'> {
  const architecture = String(values.get('general.architecture') ?? 'nothing');
  const number = (key: string, other?: number): number => {
    const value = values.get(`${architecture}.${key}`) ?? other;
    if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
    const text = `Expected a whole number above 0 for ${architecture}.${key} but received ${value ?? 'nothing'}`;
    throw new PairscoreError('ERR_MODEL_FILE', `${path}: ${text}`, { file: path });
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

/** As our engine multiplies: q, k and v packed, gate and up packed. */
export function linearShapes(facts: Omit<BaseFacts, 'fileBytes'>): readonly LinearShape[] {
  const { hidden, heads, kvHeads, headDim, feedForward } = facts;
  return [
    { name: 'qkv', inputs: hidden, outputs: (heads + 2 * kvHeads) * headDim },
    { name: 'out', inputs: heads * headDim, outputs: hidden },
    { name: 'gate-up', inputs: hidden, outputs: 2 * feedForward },
    { name: 'down', inputs: feedForward, outputs: hidden },
  ];
}

/** Multiply-adds count as two; the linear layers of all blocks, no vocabulary projection, no attention. */
export function flopsPerToken(facts: Omit<BaseFacts, 'fileBytes'>): number {
  return 2 * facts.layers * linearShapes(facts).reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0);
}
