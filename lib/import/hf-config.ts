import { join } from 'node:path';
import { PairscoreError } from '../errors';
import type { BaseShape } from './base-shape';
import { float32, type GgufEntry, text, uint32 } from './gguf-values';
import { isCount, isObject, type JsonObject, readObject } from './json';

/** A Hugging Face configuration of one of the two architectures, checked to be one that llama.cpp computes alike. */
export interface HfConfig {
  readonly path: string;
  readonly shape: BaseShape;
  /** Metadata of the base GGUF, but for type, name and vocabulary. */
  readonly entries: readonly GgufEntry[];
  /** Divisors of the rotation frequencies for llama3 scaling, or null. */
  readonly ropeFactors: Float32Array | null;
  readonly json: JsonObject;
}

export async function readHfConfig(folder: string): Promise<HfConfig> {
  const path = join(folder, 'config.json');
  const json = await readObject(path);
  const type = json['model_type'];
  if (type !== 'gemma2' && type !== 'llama')
    throw refuse(path, `Expected model_type gemma2 or llama but received ${JSON.stringify(type)}`);
  const fields = readFields(path, json, type);
  const rope = readRope(path, json, type);
  const entries = type === 'gemma2' ? gemmaEntries(path, json, fields) : llamaEntries(path, json, fields, rope);
  const factors = rope.type === 'llama3' ? llama3Factors(path, rope, fields.shape.headDim) : null;
  return { path, shape: fields.shape, entries, ropeFactors: factors, json };
}

function refuse(path: string, message: string): PairscoreError {
  return new PairscoreError('ERR_MODEL_MISMATCH', `${path}: ${message}`, { file: path });
}

interface Fields {
  readonly shape: BaseShape;
  readonly context: number;
  readonly epsilon: number;
}

function readFields(path: string, json: JsonObject, architecture: 'gemma2' | 'llama'): Fields {
  const size = (key: string): number => {
    const value = json[key];
    if (!isCount(value) || value === 0 || value > 1e7)
      throw refuse(path, `Expected ${key} to be a positive integer but received ${JSON.stringify(value)}`);
    return value;
  };
  const heads = size('num_attention_heads');
  const hidden = size('hidden_size');
  const shape: BaseShape = {
    architecture,
    layers: size('num_hidden_layers'),
    hidden,
    heads,
    kvHeads: json['num_key_value_heads'] === undefined ? heads : size('num_key_value_heads'),
    headDim: isCount(json['head_dim']) ? size('head_dim') : hidden / heads,
    feedForward: size('intermediate_size'),
    vocabulary: size('vocab_size'),
  };
  if (!Number.isInteger(shape.headDim) || shape.headDim % 2 !== 0 || heads % shape.kvHeads !== 0) {
    throw refuse(
      path,
      `Expected whole heads but received ${heads} of ${shape.kvHeads} groups for a hidden size of ${hidden}`,
    );
  }
  for (const key of ['attention_bias', 'mlp_bias'])
    if (json[key] === true) throw refuse(path, `Expected ${key} to be false: biases are not supported`);
  return { shape, context: size('max_position_embeddings'), epsilon: real(path, json, 'rms_norm_eps') };
}

function real(path: string, json: JsonObject, key: string): number {
  const value = json[key];
  if (typeof value !== 'number' || !(value > 0))
    throw refuse(path, `Expected ${key} to be a positive number but received ${JSON.stringify(value)}`);
  return value;
}

interface Rope {
  readonly type: string;
  readonly theta: number;
  readonly json: JsonObject;
}

function readRope(path: string, json: JsonObject, architecture: string): Rope {
  const given = json['rope_parameters'] ?? json['rope_scaling'] ?? {};
  if (!isObject(given)) throw refuse(path, 'Expected rope_parameters to be an object');
  const type = given['rope_type'] ?? given['type'] ?? 'default';
  const theta = given['rope_theta'] ?? json['rope_theta'] ?? 10000;
  if (typeof theta !== 'number' || !(theta > 0))
    throw refuse(path, `Expected rope_theta to be a positive number but received ${JSON.stringify(theta)}`);
  const known: readonly unknown[] = architecture === 'llama' ? ['default', 'linear', 'llama3'] : ['default'];
  if (typeof type !== 'string' || !known.includes(type))
    throw refuse(path, `Expected RoPE of type ${known.join(', ')} but received ${JSON.stringify(type)}`);
  return { type, theta, json: given };
}

function shapeEntries(name: string, { shape, context }: Fields): readonly GgufEntry[] {
  return [
    [`${name}.block_count`, uint32(shape.layers)],
    [`${name}.context_length`, uint32(context)],
    [`${name}.embedding_length`, uint32(shape.hidden)],
    [`${name}.feed_forward_length`, uint32(shape.feedForward)],
    [`${name}.attention.head_count`, uint32(shape.heads)],
    [`${name}.attention.head_count_kv`, uint32(shape.kvHeads)],
  ];
}

function llamaEntries(path: string, json: JsonObject, fields: Fields, rope: Rope): readonly GgufEntry[] {
  expect(path, json, 'hidden_act', 'silu');
  const { headDim, vocabulary } = fields.shape;
  const scaling: readonly GgufEntry[] =
    rope.type === 'linear'
      ? [
          ['llama.rope.scaling.type', text('linear')],
          ['llama.rope.scaling.factor', float32(real(path, rope.json, 'factor'))],
        ]
      : [];
  const heads: readonly GgufEntry[] = isCount(json['head_dim'])
    ? [
        ['llama.attention.key_length', uint32(headDim)],
        ['llama.attention.value_length', uint32(headDim)],
      ]
    : [];
  return [
    ...shapeEntries('llama', fields),
    ...scaling,
    ['llama.rope.freq_base', float32(rope.theta)],
    ['llama.attention.layer_norm_rms_epsilon', float32(fields.epsilon)],
    ...heads,
    ['llama.vocab_size', uint32(vocabulary)],
    ['llama.rope.dimension_count', uint32(headDim)],
  ];
}

function gemmaEntries(path: string, json: JsonObject, fields: Fields): readonly GgufEntry[] {
  const activation = json['hidden_activation'] ?? 'gelu_pytorch_tanh';
  if (activation !== 'gelu_pytorch_tanh')
    throw refuse(path, `Expected hidden_activation gelu_pytorch_tanh but received ${JSON.stringify(activation)}`);
  const { headDim, heads, hidden, layers } = fields.shape;
  // llama.cpp knows the 27B by its 46 layers, and scales its queries by hidden / heads.
  const scalar = layers === 46 ? hidden / heads : headDim;
  if (json['query_pre_attn_scalar'] !== undefined) expect(path, json, 'query_pre_attn_scalar', scalar);
  const kinds: unknown = json['layer_types'];
  const alternates =
    !Array.isArray(kinds) || kinds.every((kind, i) => kind === (i % 2 === 0 ? 'sliding_attention' : 'full_attention'));
  if (!alternates) throw refuse(path, 'Expected sliding attention on every even layer, as llama.cpp computes it');
  const { theta } = readRope(path, json, 'gemma2');
  const window = json['sliding_window'];
  if (!isCount(window)) throw refuse(path, 'Expected sliding_window to be a number');
  return [
    ...shapeEntries('gemma2', fields),
    ['gemma2.attention.layer_norm_rms_epsilon', float32(fields.epsilon)],
    ['gemma2.attention.key_length', uint32(headDim)],
    ['gemma2.attention.value_length', uint32(headDim)],
    ...(theta === 10000 ? [] : [['gemma2.rope.freq_base', float32(theta)] satisfies GgufEntry]),
    ['gemma2.attn_logit_softcapping', float32(real(path, json, 'attn_logit_softcapping'))],
    ['gemma2.final_logit_softcapping', float32(real(path, json, 'final_logit_softcapping'))],
    ['gemma2.attention.sliding_window', uint32(window)],
  ];
}

function expect(path: string, json: JsonObject, key: string, value: unknown): void {
  if (json[key] !== value)
    throw refuse(path, `Expected ${key} ${JSON.stringify(value)} but received ${JSON.stringify(json[key])}`);
}

/** As llama.cpp's converter computes them with torch, bit for bit. */
function llama3Factors(path: string, rope: Rope, headDim: number): Float32Array {
  const number = (key: string, otherwise: number): number =>
    rope.json[key] === undefined ? otherwise : real(path, rope.json, key);
  const factor = number('factor', 8);
  const low = number('low_freq_factor', 1);
  const high = number('high_freq_factor', 4);
  const context = number('original_max_position_embeddings', 8192);
  // torch divides a number by a tensor as the number times the reciprocal, each step rounded to f32.
  const over = (value: number, divisor: number): number => Math.fround(Math.fround(value) * Math.fround(1 / divisor));
  return Float32Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = over(1, Math.fround(rope.theta ** Math.fround((2 * i) / headDim)));
    const wavelength = over(2 * Math.PI, frequency);
    if (wavelength < context / high) return 1;
    if (wavelength > context / low) return factor;
    const smooth = Math.fround(Math.fround(over(context, wavelength) - low) / (high - low));
    return over(1, Math.fround(Math.fround(Math.fround(1 - smooth) / factor) + smooth));
  });
}
