import { PairscoreError } from '../errors';
import { isCount, isObject, type JsonObject } from './json';
import type { Linear } from './base-shape';

/** How an adapter was trained, from adapter_config.json or from the command line. */
export interface AdapterConfig {
  readonly path: string;
  /** null: as the tensors say. */
  readonly rank: number | null;
  readonly alpha: number;
  readonly rsLora: boolean;
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
  /** Names, a regular expression, or null where unknown. */
  readonly targets: readonly string[] | string | null;
  readonly layers: readonly number[] | null;
  readonly baseModel: string | null;
}

/** Settings that change what the weights mean, and the value under which they are plain LoRA. */
const PLAIN: readonly (readonly [key: string, fine: (value: unknown) => boolean, why: string])[] = [
  ['peft_type', (v) => v === 'LORA', 'only LoRA adapters are supported'],
  ['use_dora', isOff, 'DoRA is not supported'],
  ['bias', (v) => v === undefined || v === 'none', 'trained biases are not supported'],
  ['lora_bias', isOff, 'LoRA with a bias is not supported'],
  ['fan_in_fan_out', isOff, 'transposed layers do not occur in these architectures'],
  ['layer_replication', isOff, 'replicated layers are not supported'],
  ['use_qalora', isOff, 'QA-LoRA is not supported'],
  ['use_bdlora', isOff, 'block-diagonal LoRA is not supported'],
  ['alora_invocation_tokens', isOff, 'activated LoRA is not supported'],
  ['target_parameters', isOff, 'adapters of bare parameters are not supported'],
  ['trainable_token_indices', isOff, 'trained token embeddings are not supported'],
  ['monteclora_config', isOff, 'MonteCLoRA is not supported'],
  ['kasa_config', isOff, 'KaSA is not supported'],
  ['velora_config', isOff, 'VeLoRA is not supported'],
  ['arrow_config', isOff, 'Arrow routing is not supported'],
  ['megatron_config', isOff, 'Megatron layers are not supported'],
  [
    'init_lora_weights',
    isPlainInit,
    'this initialisation changed the base weights: convert the adapter to plain LoRA with PEFT first',
  ],
];

function isOff(value: unknown): boolean {
  return value === undefined || value === null || value === false || (Array.isArray(value) && value.length === 0);
}

function isPlainInit(value: unknown): boolean {
  return typeof value !== 'string' || !/^(pissa|olora|corda|loftq|lora_ga)/i.test(value);
}

export function parseAdapterConfig(path: string, json: JsonObject): AdapterConfig {
  for (const [key, fine, why] of PLAIN) {
    if (!fine(json[key])) throw refuse(path, `${key} is ${JSON.stringify(json[key])}: ${why}`);
  }
  const { r, lora_alpha: alpha, use_rslora: rsLora } = json;
  if (!isCount(r) || r === 0)
    throw refuse(path, `Expected r to be a positive integer but received ${JSON.stringify(r)}`);
  if (typeof alpha !== 'number' || !Number.isFinite(alpha))
    throw refuse(path, `Expected lora_alpha to be a number but received ${JSON.stringify(alpha)}`);
  return {
    path,
    rank: r,
    alpha,
    rsLora: rsLora === true,
    rankPattern: parsePattern(path, 'rank_pattern', json['rank_pattern']),
    alphaPattern: parsePattern(path, 'alpha_pattern', json['alpha_pattern']),
    targets: parseTargets(path, json['target_modules']),
    layers: parseLayers(path, json['layers_to_transform']),
    baseModel: typeof json['base_model_name_or_path'] === 'string' ? json['base_model_name_or_path'] : null,
  };
}

function refuse(path: string, message: string): PairscoreError {
  return new PairscoreError('ERR_MODEL_MISMATCH', `${path}: ${message}`, { file: path });
}

function parsePattern(path: string, key: string, value: unknown): Readonly<Record<string, number>> {
  const pattern: Record<string, number> = {};
  if (value === undefined || value === null) return pattern;
  if (!isObject(value)) throw refuse(path, `Expected ${key} to be an object`);
  for (const [name, number] of Object.entries(value)) {
    if (typeof number !== 'number' || !(number > 0))
      throw refuse(path, `Expected ${key} of ${name} to be a positive number`);
    compile(path, name);
    pattern[name] = number;
  }
  return pattern;
}

function parseTargets(path: string, value: unknown): readonly string[] | string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) {
    const names = value.filter((name) => typeof name === 'string');
    if (names.length === value.length) return names;
  }
  throw refuse(path, 'Expected target_modules to be a string or a list of strings');
}

function parseLayers(path: string, value: unknown): readonly number[] | null {
  if (value === undefined || value === null) return null;
  const layers: readonly unknown[] = Array.isArray(value) ? value : [value];
  const numbers = layers.filter(isCount);
  if (numbers.length !== layers.length) throw refuse(path, 'Expected layers_to_transform to be layer numbers');
  return numbers.length === 0 ? null : numbers;
}

function compile(path: string, name: string): RegExp {
  // A pattern with nested repetition could run for ever; module names need none.
  const repeats = name.match(/[+*{]/g)?.length ?? 0;
  if (name.length > 200 || repeats > 5 || /[+*}]\)?[+*{]|\)[+*{]/.test(name))
    throw refuse(path, `Expected a simple pattern but received ${JSON.stringify(name)}`);
  try {
    return new RegExp(`^(?:.*\\.)?(?:${name})$`);
  } catch (cause) {
    throw new PairscoreError(
      'ERR_MODEL_MISMATCH',
      `${path}: Expected a pattern of module names but received ${JSON.stringify(name)}`,
      { cause },
    );
  }
}

function lookUp(config: AdapterConfig, pattern: Readonly<Record<string, number>>, module: string): number | undefined {
  for (const [name, value] of Object.entries(pattern)) if (compile(config.path, name).test(module)) return value;
  return undefined;
}

export function moduleName(layer: number, linear: Linear): string {
  return `model.layers.${layer}.${/^[qkvo]_/.test(linear) ? 'self_attn' : 'mlp'}.${linear}`;
}

/** The rank that the configuration promises for a module, or null. */
export function promisedRank(config: AdapterConfig, module: string): number | null {
  return lookUp(config, config.rankPattern, module) ?? config.rank;
}

/** What multiplies B·A. */
export function loraScale(config: AdapterConfig, module: string, rank: number): number {
  const alpha = lookUp(config, config.alphaPattern, module) ?? config.alpha;
  return alpha / (config.rsLora ? Math.sqrt(rank) : rank);
}

/** Whether the configuration says that this module has a LoRA; null where it does not say. */
export function isTargeted(config: AdapterConfig, layer: number, linear: Linear): boolean | null {
  if (config.targets === null) return null;
  if (config.layers !== null && !config.layers.includes(layer)) return false;
  const module = moduleName(layer, linear);
  if (config.targets === 'all-linear') return true;
  if (typeof config.targets === 'string') return new RegExp(`^(?:${compileSource(config)})$`).test(module);
  return config.targets.some((name) => module === name || module.endsWith(`.${name}`));
}

function compileSource(config: AdapterConfig): string {
  const source = typeof config.targets === 'string' ? config.targets : '';
  compile(config.path, source);
  return source;
}
