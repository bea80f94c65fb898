import { PairscoreError } from '../errors';
import { fileError } from './byte-file';
import { type GgufFile, readNumber, readText, readTexts } from './gguf-read';

/** What an adapter and a head must fit. */
export interface BaseShape {
  readonly architecture: 'gemma2' | 'llama';
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly feedForward: number;
  readonly vocabulary: number;
}

/** The linear layers of a block, by their name in transformers. */
export const LINEARS = {
  q_proj: 'attn_q',
  k_proj: 'attn_k',
  v_proj: 'attn_v',
  o_proj: 'attn_output',
  gate_proj: 'ffn_gate',
  up_proj: 'ffn_up',
  down_proj: 'ffn_down',
} as const;

export type Linear = keyof typeof LINEARS;

export function isLinear(name: string): name is Linear {
  return Object.hasOwn(LINEARS, name);
}

/** [outputs, inputs] of a linear layer. */
export function linearShape(base: BaseShape, linear: Linear): readonly [number, number] {
  const attention = base.heads * base.headDim;
  const keys = base.kvHeads * base.headDim;
  switch (linear) {
    case 'q_proj':
      return [attention, base.hidden];
    case 'k_proj':
    case 'v_proj':
      return [keys, base.hidden];
    case 'o_proj':
      return [base.hidden, attention];
    case 'gate_proj':
    case 'up_proj':
      return [base.feedForward, base.hidden];
    case 'down_proj':
      return [base.hidden, base.feedForward];
  }
}

/** Heads whose rows llama.cpp stores in another order than transformers, or 0. */
export function permutedHeads(base: BaseShape, linear: Linear): number {
  if (base.architecture !== 'llama') return 0;
  if (linear === 'q_proj') return base.heads;
  return linear === 'k_proj' ? base.kvHeads : 0;
}

export function shapeFromGguf(file: GgufFile): BaseShape {
  const architecture = readText(file.values.get('general.architecture'));
  if (architecture !== 'gemma2' && architecture !== 'llama') {
    throw new PairscoreError(
      'ERR_MODEL_MISMATCH',
      `${file.path}: Expected a base of architecture gemma2 or llama but received ${String(architecture)}`,
      {
        file: file.path,
      },
    );
  }
  const type = readText(file.values.get('general.type'));
  if (type !== undefined && type !== 'model')
    throw fileError(file.path, `Expected a model but received general.type ${type}`);
  const number = (key: string): number => {
    const value = readNumber(file.values.get(`${architecture}.${key}`));
    if (value === undefined || !Number.isInteger(value) || value < 1)
      throw fileError(file.path, `Expected ${architecture}.${key} to be a positive integer`);
    return value;
  };
  const heads = number('attention.head_count');
  const hidden = number('embedding_length');
  const kvHeads = file.values.has(`${architecture}.attention.head_count_kv`)
    ? number('attention.head_count_kv')
    : heads;
  const headDim = file.values.has(`${architecture}.attention.key_length`)
    ? number('attention.key_length')
    : hidden / heads;
  const vocabulary = readTexts(file.values.get('tokenizer.ggml.tokens'))?.length ?? 0;
  const embedding = file.tensors.get('token_embd.weight');
  if (embedding === undefined || embedding.ne[0] !== hidden || embedding.ne[1] !== vocabulary) {
    throw fileError(
      file.path,
      `Expected token_embd.weight of ${hidden} x ${vocabulary} but received ${embedding?.ne.join(' x ') ?? 'none'}`,
    );
  }
  return {
    architecture,
    layers: number('block_count'),
    hidden,
    heads,
    kvHeads,
    headDim,
    feedForward: number('feed_forward_length'),
    vocabulary,
  };
}
