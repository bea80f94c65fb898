import { type BaseShape, isLinear, LINEARS, type Linear, linearShape } from './base-shape';

/** What a tensor of a Hugging Face base becomes. */
export type BaseKey =
  | { readonly kind: 'linear'; readonly target: string; readonly layer: number; readonly linear: Linear }
  | { readonly kind: 'matrix'; readonly target: string }
  | { readonly kind: 'norm'; readonly target: string }
  | { readonly kind: 'head'; readonly part: 'weight' | 'bias' }
  | { readonly kind: 'ignored'; readonly reason: string }
  | { readonly kind: 'unknown' };

const NORMS = {
  llama: { input_layernorm: 'attn_norm', post_attention_layernorm: 'ffn_norm' },
  gemma2: {
    input_layernorm: 'attn_norm',
    post_attention_layernorm: 'post_attention_norm',
    pre_feedforward_layernorm: 'ffn_norm',
    post_feedforward_layernorm: 'post_ffw_norm',
  },
} as const;

export function parseBaseKey(key: string, architecture: 'gemma2' | 'llama'): BaseKey {
  const name = key.replace(/^model\./, '');
  if (name === 'embed_tokens.weight') return { kind: 'matrix', target: 'token_embd.weight' };
  if (name === 'norm.weight') return { kind: 'norm', target: 'output_norm.weight' };
  if (name === 'lm_head.weight') {
    const unused = 'llama.cpp ties the vocabulary projection of Gemma-2 to the embeddings';
    return architecture === 'gemma2'
      ? { kind: 'ignored', reason: unused }
      : { kind: 'matrix', target: 'output.weight' };
  }
  if (name.endsWith('rotary_emb.inv_freq')) return { kind: 'ignored', reason: 'computed from the configuration' };
  const head = /^(?:score|classifier)\.(weight|bias)$/.exec(name);
  if (head !== null) return { kind: 'head', part: head[1] === 'bias' ? 'bias' : 'weight' };
  const block = /^layers\.(\d{1,5})\.(?:(?:self_attn|mlp)\.)?(\w+)\.weight$/.exec(name);
  const [layer, part] = [Number(block?.[1]), block?.[2] ?? ''];
  if (isLinear(part)) return { kind: 'linear', target: `blk.${layer}.${LINEARS[part]}.weight`, layer, linear: part };
  const norm = Object.entries(NORMS[architecture]).find(([from]) => from === part);
  return norm === undefined ? { kind: 'unknown' } : { kind: 'norm', target: `blk.${layer}.${norm[1]}.weight` };
}

/** Every tensor that a base must have, in the order of the file, with its shape as transformers writes it. */
export function expectedTensors(base: BaseShape): ReadonlyMap<string, readonly number[]> {
  const expected = new Map<string, readonly number[]>([['token_embd.weight', [base.vocabulary, base.hidden]]]);
  for (let layer = 0; layer < base.layers; layer++) {
    for (const norm of Object.values(NORMS[base.architecture]))
      expected.set(`blk.${layer}.${norm}.weight`, [base.hidden]);
    for (const linear of Object.keys(LINEARS).filter(isLinear)) {
      expected.set(`blk.${layer}.${LINEARS[linear]}.weight`, linearShape(base, linear));
    }
  }
  expected.set('output_norm.weight', [base.hidden]);
  return expected;
}
