import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { usesBitsAndBytes } from '../../../lib/import/bitsandbytes';
import { readHfConfig } from '../../../lib/import/hf-config';
import { isObject, type JsonObject } from '../../../lib/import/json';
import { write } from './archive';
import { refused, scratchFolder } from './scratch';

const scratch = scratchFolder();
let count = 0;

function config(kind: 'gemma' | 'llama', changes: JsonObject): Promise<Awaited<ReturnType<typeof readHfConfig>>> {
  const plain: unknown = JSON.parse(
    readFileSync(join(__dirname, '..', '..', 'fixtures', 'import', `${kind}-base`, 'config.json'), 'utf8'),
  );
  assert.ok(isObject(plain));
  const folder = join(scratch, String(count++));
  mkdirSync(folder);
  write(folder, 'config.json', JSON.stringify({ ...plain, ...changes }));
  return readHfConfig(folder);
}

async function entry(kind: 'gemma' | 'llama', changes: JsonObject, key: string): Promise<unknown> {
  const { entries } = await config(kind, changes);
  return entries.find(([name]) => name === key)?.[1].value;
}

describe('a configuration', () => {
  test('of transformers 4 gives the same as one of transformers 5', async () => {
    const old = { rope_parameters: undefined, rope_theta: 500000, rope_scaling: { type: 'linear', factor: 2 } };
    assert.equal(await entry('llama', old, 'llama.rope.freq_base'), 500000);
    assert.equal(await entry('llama', old, 'llama.rope.scaling.type'), 'linear');
    assert.equal(await entry('llama', old, 'llama.rope.scaling.factor'), 2);
    assert.equal((await config('llama', old)).ropeFactors, null);
  });

  test('without num_key_value_heads or head_dim has as many as heads, and their share of the hidden size', async () => {
    const { shape } = await config('llama', { num_key_value_heads: undefined, head_dim: undefined });
    assert.deepEqual([shape.kvHeads, shape.headDim], [4, 16]);
  });

  test('of llama3 scaling gives the factors of the rotation frequencies', async () => {
    const rope = {
      rope_type: 'llama3',
      rope_theta: 500000,
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    };
    const { ropeFactors } = await config('llama', { head_dim: 128, rope_parameters: rope });
    assert.ok(ropeFactors !== null && ropeFactors.length === 64);
    assert.equal(ropeFactors[0], 1);
    assert.equal(ropeFactors[63], 8);
    const between = ropeFactors.filter((factor) => factor > 1 && factor < 8);
    assert.deepEqual(
      [...between],
      [...between].sort((a, b) => a - b),
    );
    assert.ok(between.length > 0);
  });

  test('of Gemma-2 27B scales queries as llama.cpp does for its 46 layers', async () => {
    await config('gemma', { num_hidden_layers: 46, query_pre_attn_scalar: 16, layer_types: undefined });
    await refused(
      config('gemma', { num_hidden_layers: 46, layer_types: undefined }),
      'ERR_MODEL_MISMATCH',
      /query_pre_attn_scalar 16/,
    );
  });
});

describe('a configuration is refused', () => {
  const cases: readonly (readonly [string, 'gemma' | 'llama', JsonObject, RegExp])[] = [
    ['of another architecture', 'llama', { model_type: 'mistral' }, /model_type gemma2 or llama/],
    ['with biases', 'llama', { attention_bias: true }, /attention_bias/],
    ['with another activation', 'llama', { hidden_act: 'gelu' }, /hidden_act/],
    [
      'with RoPE that is not known',
      'llama',
      { rope_parameters: { rope_type: 'yarn', factor: 2 } },
      /RoPE of type default, linear, llama3/,
    ],
    [
      'with scaled RoPE on Gemma',
      'gemma',
      { rope_parameters: { rope_type: 'linear', factor: 2 } },
      /RoPE of type default/,
    ],
    [
      'with full attention everywhere',
      'gemma',
      { layer_types: ['full_attention', 'full_attention', 'full_attention'] },
      /sliding attention/,
    ],
    ['without a size', 'llama', { hidden_size: undefined }, /hidden_size/],
    ['with a size that is no count', 'llama', { intermediate_size: 1.5 }, /intermediate_size/],
    ['with heads that do not divide', 'llama', { num_key_value_heads: 3 }, /whole heads/],
    ['with an epsilon of zero', 'llama', { rms_norm_eps: 0 }, /rms_norm_eps/],
  ];
  for (const [name, kind, changes, text] of cases)
    test(name, () => refused(config(kind, changes), 'ERR_MODEL_MISMATCH', text));

  test('when its weights are quantised by another method', () => {
    assert.equal(usesBitsAndBytes('x', {}), false);
    assert.equal(usesBitsAndBytes('x', { quantization_config: { load_in_4bit: true } }), true);
    assert.throws(
      () => usesBitsAndBytes('x', { quantization_config: { quant_method: 'gptq' } }),
      /bitsandbytes but received "gptq"/,
    );
  });
});
