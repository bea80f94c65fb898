import { isLinear, type Linear } from './base-shape';

/** What one key of a checkpoint stands for. */
export type AdapterKey =
  | {
      readonly kind: 'lora';
      readonly layer: number;
      readonly linear: Linear;
      readonly side: 'a' | 'b';
      readonly adapter: string;
    }
  | {
      readonly kind: 'head';
      readonly head: string;
      readonly part: 'weight' | 'bias';
      readonly origin: 'trained' | 'base';
      readonly adapter: string;
    }
  | { readonly kind: 'head-lora'; readonly head: string; readonly side: 'a' | 'b'; readonly adapter: string }
  | { readonly kind: 'base'; readonly name: string }
  | { readonly kind: 'ignored'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string };

/** Names that wrappers (data parallel, torch.compile, PEFT, a user's own module) put before the model's own. */
const PREFIX =
  /^(?:(?:module|_orig_mod|_fsdp_wrapped_module|base_model|model|backbone|encoder|transformer|llm|net)\.)*/;
const HEADS = /^(score|classifier|classification_head|cls_head|reward_head|head|linear|fc|out_proj)\.(.+)$/;
const BLOCK = /^layers\.(\d{1,5})\.(?:self_attn|mlp)\.([a-z_]+)\.(.+)$/;
const NORM =
  /^(?:layers\.\d{1,5}\.(?:input_layernorm|post_attention_layernorm|pre_feedforward_layernorm|post_feedforward_layernorm)|norm)\.(.+)$/;
const LORA = /^lora_([AB])(?:\.(\w+))?\.weight$/;
/** Parts of a quantised base weight, as bitsandbytes stores them. */
const QUANTISED =
  /^(?:weight\.(?:absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.\S+)|SCB|weight_format)$/;

const DORA = 'DoRA magnitudes: only plain LoRA is supported';
const UNKNOWN = 'an unknown key';

export function parseAdapterKey(key: string): AdapterKey {
  const name = key.replace(PREFIX, '');
  const block = BLOCK.exec(name);
  if (block !== null) return parseBlock(Number(block[1]), block[2] ?? '', block[3] ?? '');
  const head = HEADS.exec(name);
  if (head !== null) return parseHead(head[1] ?? '', head[2] ?? '');
  const norm = NORM.exec(name);
  if (norm !== null)
    return norm[1] === 'weight'
      ? { kind: 'base', name }
      : refused('a trained norm: only LoRA and the head may be trained');
  if (name === 'embed_tokens.weight') return { kind: 'base', name };
  if (name.startsWith('embed_tokens.')) return refused('trained embeddings: only LoRA and the head may be trained');
  if (name === 'lm_head.weight') return { kind: 'base', name };
  if (name.startsWith('lm_head.')) return refused('a trained vocabulary projection, which a classifier does not use');
  if (name.endsWith('rotary_emb.inv_freq')) return { kind: 'ignored', reason: 'computed from the configuration' };
  return refused(UNKNOWN);
}

function refused(reason: string): AdapterKey {
  return { kind: 'refused', reason };
}

function parseBlock(layer: number, linear: string, rest: string): AdapterKey {
  if (!isLinear(linear)) return refused(UNKNOWN);
  const lora = LORA.exec(rest);
  if (lora !== null) return { kind: 'lora', layer, linear, side: lora[1] === 'A' ? 'a' : 'b', adapter: lora[2] ?? '' };
  if (rest.startsWith('lora_magnitude_vector')) return refused(DORA);
  if (rest.startsWith('lora_'))
    return refused(rest.endsWith('bias') ? 'a LoRA with a bias of its own' : `an unknown part of a LoRA, ${rest}`);
  const own = rest.startsWith('base_layer.') ? rest.slice('base_layer.'.length) : rest;
  if (own === 'weight' || QUANTISED.test(own)) return { kind: 'base', name: `layers.${layer}.${linear}.${own}` };
  if (own === 'bias')
    return refused('a bias, which these architectures do not have: trained with bias other than none');
  if (rest.startsWith('modules_to_save.'))
    return refused('a linear layer trained in full: merge it into the base first');
  return refused(UNKNOWN);
}

function parseHead(head: string, rest: string): AdapterKey {
  const lora = LORA.exec(rest);
  if (lora !== null) return { kind: 'head-lora', head, side: lora[1] === 'A' ? 'a' : 'b', adapter: lora[2] ?? '' };
  if (rest.startsWith('lora_magnitude_vector')) return refused(DORA);
  if (rest === 'weight' || rest === 'bias') return { kind: 'head', head, part: rest, origin: 'trained', adapter: '' };
  const wrapped = /^(base_layer|original_module|modules_to_save\.(\w+))\.(weight|bias)$/.exec(rest);
  if (wrapped !== null) {
    const part = wrapped[3] === 'bias' ? 'bias' : 'weight';
    if (wrapped[1] === 'original_module') return { kind: 'ignored', reason: 'the head before training' };
    return {
      kind: 'head',
      head,
      part,
      origin: wrapped[1] === 'base_layer' ? 'base' : 'trained',
      adapter: wrapped[2] ?? '',
    };
  }
  if (/^original_module\./.test(rest)) return { kind: 'ignored', reason: 'the head before training' };
  if (/(^|\.)(\d+|dense|out_proj|fc\d?|linear\d?)\.(weight|bias)$/.test(rest))
    return refused('a head of several layers: only a single linear layer is supported');
  return refused(UNKNOWN);
}
