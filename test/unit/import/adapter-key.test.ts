import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseAdapterKey } from '../../../lib/import/adapter-key';

describe('a LoRA key is read in every spelling', () => {
  for (const key of [
    'base_model.model.model.layers.16.self_attn.q_proj.lora_A.weight',
    'base_model.model.model.layers.16.self_attn.q_proj.lora_A.default.weight',
    'module.base_model.model.model.layers.16.self_attn.q_proj.lora_A.default.weight',
    '_orig_mod.module.model.base_model.model.model.layers.16.self_attn.q_proj.lora_A.fold_3.weight',
    'backbone.layers.16.self_attn.q_proj.lora_A.weight',
    'layers.16.self_attn.q_proj.lora_A.weight',
  ]) {
    test(key, () => {
      const { kind, ...rest } = parseAdapterKey(key);
      assert.equal(kind, 'lora');
      assert.ok(
        'layer' in rest &&
          rest.layer === 16 &&
          'linear' in rest &&
          rest.linear === 'q_proj' &&
          'side' in rest &&
          rest.side === 'a',
      );
    });
  }
});

describe('a head key is read under every name', () => {
  for (const [key, expected] of [
    ['base_model.model.score.weight', { kind: 'head', head: 'score', part: 'weight', origin: 'trained', adapter: '' }],
    [
      'base_model.model.score.modules_to_save.default.weight',
      { kind: 'head', head: 'score', part: 'weight', origin: 'trained', adapter: 'default' },
    ],
    ['module.classifier.bias', { kind: 'head', head: 'classifier', part: 'bias', origin: 'trained', adapter: '' }],
    [
      'base_model.model.score.base_layer.weight',
      { kind: 'head', head: 'score', part: 'weight', origin: 'base', adapter: '' },
    ],
    [
      'base_model.model.score.lora_B.default.weight',
      { kind: 'head-lora', head: 'score', side: 'b', adapter: 'default' },
    ],
    ['base_model.model.score.original_module.weight', { kind: 'ignored', reason: 'the head before training' }],
  ] as const) {
    test(key, () => assert.deepEqual(parseAdapterKey(key), expected));
  }
});

describe('a key that would be lost is refused with its reason', () => {
  for (const [key, reason] of [
    ['base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector.weight', /DoRA/],
    ['base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector', /DoRA/],
    ['base_model.model.model.layers.0.self_attn.q_proj.lora_B.default.bias', /bias of its own/],
    ['base_model.model.model.layers.0.self_attn.q_proj.base_layer.bias', /a bias/],
    ['base_model.model.model.embed_tokens.lora_embedding_A', /trained embeddings/],
    ['base_model.model.model.embed_tokens.modules_to_save.default.weight', /trained embeddings/],
    ['base_model.model.model.layers.0.input_layernorm.modules_to_save.default.weight', /trained norm/],
    ['base_model.model.model.layers.0.self_attn.q_proj.modules_to_save.default.weight', /trained in full/],
    ['base_model.model.lm_head.lora_A.weight', /vocabulary projection/],
    ['score.2.weight', /several layers/],
    ['score.modules_to_save.default.dense.weight', /several layers/],
    ['model.layers.0.self_attn.rotary.weight', /unknown key/],
    ['model.layers.999999.self_attn.q_proj.lora_A.weight', /unknown key/],
    ['prompt_encoder.weight', /unknown key/],
    ['', /unknown key/],
    ['__proto__', /unknown key/],
  ] as const) {
    test(key, () => {
      const parsed = parseAdapterKey(key);
      assert.ok(parsed.kind === 'refused');
      assert.match(parsed.reason, reason);
    });
  }
});
