"""Writes GGUF files as llama.cpp's converters do: a vocabulary, a base, a LoRA adapter, and pairscore's head."""

import json

import gguf
import numpy as np

CONTROL, USER_DEFINED, NORMAL, BYTE = 3, 4, 1, 6


def looks_special(text):
    """llama.cpp's converter takes these for control tokens, whatever tokenizer.json says."""
    return (text in ('<pad>', '<mask>', '<2mass>', '[@BOS@]') or (text.startswith('<|') and text.endswith('|>'))
            or (text.startswith('<unused') and text.endswith('>')))


def merge_pairs(tree):
    return [m.split(' ') if isinstance(m, str) else m for m in tree['model']['merges']]


def pieces_of(tree):
    vocab = dict(tree['model']['vocab'])
    vocab.update({t['content']: t['id'] for t in tree['added_tokens']})
    size = max(vocab.values()) + 1
    names = [f'[PAD{i}]' for i in range(size)]
    for piece, i in vocab.items():
        names[i] = piece
    return names


def token_types(tree, names):
    types = [BYTE if len(n) == 6 and n.startswith('<0x') and n.endswith('>') else NORMAL for n in names]
    for token in tree['added_tokens']:
        control = token['special'] or looks_special(token['content'])
        types[token['id']] = CONTROL if control else USER_DEFINED
    return types


def spm_vocabulary(tree):
    """tokens, scores, types. SentencePiece merges by score, so a piece scores minus the rank of its first merge; pieces
    that no merge makes are never merged into, whatever they score. User-defined runs of spaces hold real spaces."""
    names = pieces_of(tree)
    types = token_types(tree, names)
    rank = {}
    for i, (left, right) in enumerate(merge_pairs(tree)):
        rank.setdefault(left + right, i)
    last = len(rank) + 1
    order = {piece: i for i, piece in enumerate(rank)}
    scores = [-1000.0 if t in (CONTROL, USER_DEFINED) else 0.0 if t == BYTE else -float(order.get(n, last))
              for n, t in zip(names, types)]
    tokens = [n.replace('▁', ' ') if t == USER_DEFINED else n for n, t in zip(names, types)]
    return tokens, scores, types


def write_vocabulary(writer, tokenizer_json, specials):
    tree = json.loads(tokenizer_json.read_text('utf-8'))
    if tree['model'].get('byte_fallback'):
        tokens, scores, types = spm_vocabulary(tree)
        writer.add_tokenizer_model('llama')
        writer.add_tokenizer_pre('default')
        writer.add_token_list([t.encode('utf-8') for t in tokens])
        writer.add_token_scores(scores)
        writer.add_token_types(types)
        writer.add_add_space_prefix(False)
    else:
        tokens = pieces_of(tree)
        writer.add_tokenizer_model('gpt2')
        writer.add_tokenizer_pre('llama-bpe')
        writer.add_token_list(tokens)
        writer.add_token_types(token_types(tree, tokens))
        writer.add_token_merges([f'{left} {right}' for left, right in merge_pairs(tree)])
    for name, token in specials.items():
        getattr(writer, f'add_{name}_token_id')(token)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token('eos' in specials and tree['model'].get('byte_fallback', False))
    return len(tokens)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def permute(weight, heads):
    """llama.cpp rotates neighbours, transformers rotates halves: rows of Llama's q and k move."""
    out = weight.shape[0]
    return weight.reshape(heads, 2, out // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


MODULES = {
    'self_attn.q_proj': 'attn_q', 'self_attn.k_proj': 'attn_k', 'self_attn.v_proj': 'attn_v',
    'self_attn.o_proj': 'attn_output', 'mlp.gate_proj': 'ffn_gate', 'mlp.up_proj': 'ffn_up', 'mlp.down_proj': 'ffn_down',
}
GEMMA_NORMS = {
    'input_layernorm': 'attn_norm', 'post_attention_layernorm': 'post_attention_norm',
    'pre_feedforward_layernorm': 'ffn_norm', 'post_feedforward_layernorm': 'post_ffw_norm',
}
LLAMA_NORMS = {'input_layernorm': 'attn_norm', 'post_attention_layernorm': 'ffn_norm'}


def heads_of(config, module):
    return {'self_attn.q_proj': config.num_attention_heads, 'self_attn.k_proj': config.num_key_value_heads}.get(module)


def base_tensors(config, state):
    """llama.cpp's names and values for the weights of a transformers model (names without a leading 'model.')."""
    gemma = config.model_type == 'gemma2'
    norms = GEMMA_NORMS if gemma else LLAMA_NORMS
    for name, tensor in state.items():
        value = tensor.detach().float().numpy()
        if name.endswith('norm.weight') and gemma:
            value = value + 1
        if name == 'embed_tokens.weight':
            yield 'token_embd.weight', value
        elif name == 'norm.weight':
            yield 'output_norm.weight', value
        else:
            _, layer, module = name.removesuffix('.weight').split('.', 2)
            heads = None if gemma else heads_of(config, module)
            value = permute(value, heads) if heads else value
            yield f'blk.{layer}.{(MODULES | norms)[module]}.weight', value


def write_base(path, name, config, state, tokenizer_json):
    gemma = config.model_type == 'gemma2'
    writer = gguf.GGUFWriter(path, config.model_type)
    writer.add_name(name)
    writer.add_file_type(0)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    if gemma:
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
        writer.add_sliding_window(config.sliding_window)
        specials = {'bos': 2, 'eos': 1, 'unk': 3, 'pad': 0}
    else:
        writer.add_rope_dimension_count(config.head_dim)
        writer.add_rope_freq_base(config.rope_parameters['rope_theta'])
        writer.add_vocab_size(config.vocab_size)
        specials = {'bos': config.bos_token_id, 'eos': config.eos_token_id}
    tokens = write_vocabulary(writer, tokenizer_json, specials)
    assert tokens == config.vocab_size, (tokens, config.vocab_size)
    for tensor_name, value in base_tensors(config, state):
        writer.add_tensor(tensor_name, np.ascontiguousarray(value, dtype=np.float32))
    finish(writer)


def write_adapter(path, config, lora, alpha, permuted=True):
    """lora: {(layer, module): (A (rank, in), B (out, rank))} as numpy. permuted=False writes Llama's q and k wrongly."""
    writer = gguf.GGUFWriter(path, config.model_type)
    writer.add_type('adapter')
    writer.add_string('adapter.type', 'lora')
    writer.add_float32('adapter.lora.alpha', float(alpha))
    for (layer, module), (a, b) in sorted(lora.items()):
        heads = heads_of(config, module) if permuted and config.model_type == 'llama' else None
        name = f'blk.{layer}.{MODULES[module]}.weight'
        writer.add_tensor(f'{name}.lora_a', np.ascontiguousarray(a, dtype=np.float32))
        writer.add_tensor(f'{name}.lora_b', np.ascontiguousarray(permute(b, heads) if heads else b, dtype=np.float32))
    finish(writer)


def write_head(path, config, labels, weight, bias=None):
    """weight (labels, hidden), bias (labels)."""
    writer = gguf.GGUFWriter(path, 'pairscore-head')
    writer.add_string('pairscore.head.architecture', config.model_type)
    writer.add_uint32('pairscore.head.hidden_size', config.hidden_size)
    writer.add_array('pairscore.head.labels', labels)
    writer.add_tensor('score.weight', np.ascontiguousarray(weight, dtype=np.float32))
    if bias is not None:
        writer.add_tensor('score.bias', np.ascontiguousarray(bias, dtype=np.float32))
    finish(writer)
