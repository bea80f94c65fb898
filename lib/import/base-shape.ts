import { PairscoreError } from '../errors';
import { fileError } from '../model/byte-file';
import { type GgufFile, readNumber, readText, readTexts } from '../model/gguf-file';

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
  const architecture = architectureOf(file);
  const has = (key: string): boolean => file.values.has(`${architecture}.${key}`);
  const number = (key: string): number => {
    const value = readNumber(file.values.get(`${architecture}.${key}`));
    if (value !== undefined && Number.isInteger(value) && value >= 1) return value;
    throw fileError(file.path, `Expected ${architecture}.${key} to be a positive integer`);
  };
  const [heads, hidden] = [number('attention.head_count'), number('embedding_length')];
  return {
    architecture,
    layers: number('block_count'),
    hidden,
    heads,
    kvHeads: has('attention.head_count_kv') ? number('attention.head_count_kv') : heads,
    headDim: has('attention.key_length') ? number('attention.key_length') : hidden / heads,
    feedForward: number('feed_forward_length'),
    vocabulary: vocabularyOf(file, hidden),
  };
}

function architectureOf(file: GgufFile): 'gemma2' | 'llama' {
  const architecture = readText(file.values.get('general.architecture'));
  const type = readText(file.values.get('general.type')) ?? 'model';
  if (type !== 'model') throw fileError(file.path, `Expected a model but received general.type ${type}`);
  if (architecture === 'gemma2' || architecture === 'llama') return architecture;
  const text = `${file.path}: Expected a base of architecture gemma2 or llama but received ${String(architecture)}`;
  throw new PairscoreError('ERR_MODEL_MISMATCH', text, { file: file.path });
}

function vocabularyOf(file: GgufFile, hidden: number): number {
  const count = readTexts(file.values.get('tokenizer.ggml.tokens'))?.length ?? 0;
  const { ne } = file.tensors.get('token_embd.weight') ?? { ne: [] };
  if (ne[0] === hidden && ne[1] === count) return count;
  throw fileError(
    file.path,
    `Expected token_embd.weight of ${hidden} x ${count} but received ${ne.join(' x ') || 'none'}`,
  );
}
