import { PairscoreError } from '../errors';
import { type AdapterConfig, isTargeted, loraScale, moduleName, promisedRank } from './adapter-config';
import { type AdapterSettings, openAdapter } from './adapter-open';
import { type AdapterKey, parseAdapterKey } from './adapter-key';
import { type BaseShape, isLinear, LINEARS, type Linear, linearShape } from './base-shape';
import { type HeadParts, type HeadWeights, readHead } from './head';
import type { KeyFate } from './report';
import { isFloat, readFloats, type SourceTensor, type TensorStore } from './tensor';

/** One LoRA: the base weight gets scale · B·A. Rows of `b` are in transformers' order. */
export interface LoraPair {
  readonly layer: number;
  readonly linear: Linear;
  readonly rank: number;
  readonly scale: number;
  /** (rank, inputs) */
  readonly a: Float32Array;
  /** (outputs, rank) */
  readonly b: Float32Array;
}

export interface Adapter {
  readonly source: string;
  readonly pairs: readonly LoraPair[];
  /** null where the checkpoint has no head. */
  readonly head: HeadWeights | null;
  readonly baseModel: string | null;
  readonly fates: readonly KeyFate[];
}

/** Reads one checkpoint whole, strictly: every key is placed, ignored for a reason, or the import is refused. */
export async function readAdapter(path: string, base: BaseShape, settings: AdapterSettings): Promise<Adapter> {
  const { store, config } = await openAdapter(path, settings);
  try {
    const keys = [...store.tensors.values()].map((tensor) => ({ tensor, key: parseAdapterKey(tensor.name) }));
    refuseKeys(store, keys, base);
    const { pairs, fates } = await readPairs({ store, config, base }, keys);
    checkComplete(store, config, { base, pairs });
    const head = await readHead(collectHead(keys), config, base, store.path);
    return {
      source: path,
      pairs,
      head: head?.weights ?? null,
      baseModel: config.baseModel,
      fates: [...fates, ...(head?.fates ?? []), ...otherFates(store, keys)],
    };
  } finally {
    await store.close();
  }
}

interface Keyed {
  readonly tensor: SourceTensor;
  readonly key: AdapterKey;
}

function mismatch(store: TensorStore, message: string): PairscoreError {
  return new PairscoreError('ERR_MODEL_MISMATCH', `${store.path}: ${message}`, { file: store.path });
}

/** A dump of the whole module holds norms too; a PEFT file with embeddings in it means that they were trained or resized. */
function refuseKeys(store: TensorStore, keys: readonly Keyed[], base: BaseShape): void {
  const faults: string[] = [];
  const isDump = keys.some(({ key }) => key.kind === 'base' && key.name === 'norm.weight');
  for (const { tensor, key } of keys) {
    if (key.kind === 'refused') faults.push(`${tensor.name} is ${key.reason}`);
    if (key.kind !== 'base') continue;
    const isEmbedding = key.name === 'embed_tokens.weight' || key.name === 'lm_head.weight';
    if (isEmbedding && tensor.shape[0] !== base.vocabulary && tensor.shape.length === 2) {
      faults.push(`${tensor.name} has ${tensor.shape[0]} rows for a vocabulary of ${base.vocabulary}: it was resized`);
    } else if (!isDump && !tensor.name.includes('.base_layer.')) {
      faults.push(
        `${tensor.name} is a base weight saved with the adapter: trained ${isEmbedding ? 'embeddings are' : 'base weights are'} not supported`,
      );
    }
  }
  if (faults.length === 0) return;
  const more = faults.length > 8 ? `; and ${faults.length - 8} more` : '';
  throw mismatch(store, `Expected LoRA and head weights only, but ${faults.slice(0, 8).join('; ')}${more}`);
}

interface Reading {
  readonly store: TensorStore;
  readonly config: AdapterConfig;
  readonly base: BaseShape;
}

async function readPairs(
  reading: Reading,
  keys: readonly Keyed[],
): Promise<{ pairs: readonly LoraPair[]; fates: readonly KeyFate[] }> {
  const { store } = reading;
  const halves = new Map<string, Partial<Record<'a' | 'b', SourceTensor>> & { layer: number; linear: Linear }>();
  const names = new Set<string>();
  for (const { tensor, key } of keys) {
    if (key.kind !== 'lora') continue;
    names.add(key.adapter);
    const module = moduleName(key.layer, key.linear);
    const half = halves.get(module) ?? { layer: key.layer, linear: key.linear };
    if (half[key.side] !== undefined)
      throw mismatch(store, `Expected one lora_${key.side.toUpperCase()} of ${module} but received two`);
    half[key.side] = tensor;
    halves.set(module, half);
  }
  if (names.size > 1)
    throw mismatch(store, `Expected one adapter but received ${[...names].map((n) => JSON.stringify(n)).join(', ')}`);
  const pairs: LoraPair[] = [];
  const fates: KeyFate[] = [];
  for (const [module, { a, b, layer, linear }] of halves) {
    if (a === undefined || b === undefined)
      throw mismatch(store, `Expected lora_A and lora_B of ${module} but one is missing`);
    pairs.push(await readPair(reading, { layer, linear, a, b }));
    const target = `blk.${layer}.${LINEARS[linear]}.weight`;
    fates.push(fateOf(store, a, `${target}.lora_a`), fateOf(store, b, `${target}.lora_b`));
  }
  return { pairs: pairs.sort((x, y) => x.layer - y.layer), fates };
}

function fateOf(store: TensorStore, tensor: SourceTensor, detail: string): KeyFate {
  return { source: store.path, key: tensor.name, fate: 'adapter', detail, shape: tensor.shape, dtype: tensor.dtype };
}

interface Halves {
  readonly layer: number;
  readonly linear: Linear;
  readonly a: SourceTensor;
  readonly b: SourceTensor;
}

async function readPair({ store, config, base }: Reading, halves: Halves): Promise<LoraPair> {
  const { layer, linear, a, b } = halves;
  if (layer >= base.layers)
    throw mismatch(
      store,
      `Expected layers 0 to ${base.layers - 1} but ${a.name} is of layer ${layer}: the adapter is of another base`,
    );
  const [outputs, inputs] = linearShape(base, linear);
  const rank = a.shape[0] ?? 0;
  const module = moduleName(layer, linear);
  const fits =
    rank > 0 &&
    a.shape.length === 2 &&
    b.shape.length === 2 &&
    a.shape[1] === inputs &&
    b.shape[0] === outputs &&
    b.shape[1] === rank;
  if (!fits) {
    throw mismatch(
      store,
      `Expected ${module} of A [r, ${inputs}] and B [${outputs}, r] but received A [${a.shape.join(', ')}] and B [${b.shape.join(', ')}]: the adapter is of another base`,
    );
  }
  const promised = promisedRank(config, module);
  if (promised !== null && promised !== rank)
    throw mismatch(store, `Expected rank ${promised} of ${module}, as ${config.path} says, but received ${rank}`);
  return {
    layer,
    linear,
    rank,
    scale: loraScale(config, module, rank),
    a: await finite(store, a),
    b: await finite(store, b),
  };
}

export async function finite(store: Pick<TensorStore, 'path'>, tensor: SourceTensor): Promise<Float32Array> {
  if (!isFloat(tensor.dtype)) {
    throw new PairscoreError(
      'ERR_MODEL_MISMATCH',
      `${store.path}: Expected floating point values of ${tensor.name} but received ${tensor.dtype}`,
    );
  }
  const values = await readFloats(tensor);
  if (!values.every(Number.isFinite)) {
    throw new PairscoreError(
      'ERR_MODEL_VALUES',
      `${store.path}: Expected finite values of ${tensor.name} but received NaN or infinity`,
      { file: store.path },
    );
  }
  return values;
}

/** The configuration says which modules have a LoRA: a checkpoint that lacks one of them was cut. */
function checkComplete(
  store: TensorStore,
  config: AdapterConfig,
  found: { base: BaseShape; pairs: readonly LoraPair[] },
): void {
  const present = new Set(found.pairs.map((pair) => moduleName(pair.layer, pair.linear)));
  const missing: string[] = [];
  for (let layer = 0; layer < found.base.layers; layer++) {
    for (const linear of Object.keys(LINEARS).filter(isLinear)) {
      const module = moduleName(layer, linear);
      const expected = isTargeted(config, layer, linear);
      if (expected === true && !present.has(module)) missing.push(module);
    }
  }
  if (missing.length > 0) {
    throw mismatch(
      store,
      `Expected LoRA weights of every module that ${config.path} names but ${missing.length} are missing: ${missing.slice(0, 4).join(', ')}`,
    );
  }
}

function collectHead(keys: readonly Keyed[]): HeadParts {
  return keys.flatMap(({ tensor, key }) => (key.kind === 'head' || key.kind === 'head-lora' ? [{ tensor, key }] : []));
}

function otherFates(store: TensorStore, keys: readonly Keyed[]): readonly KeyFate[] {
  const fates: KeyFate[] = store.others.map((key) => ({
    source: store.path,
    key,
    fate: 'ignored',
    detail: 'not a tensor',
    shape: [],
    dtype: '',
  }));
  for (const { tensor, key } of keys) {
    if (key.kind !== 'base' && key.kind !== 'ignored') continue;
    const detail = key.kind === 'base' ? 'a frozen base weight: the base given is used' : key.reason;
    fates.push({
      source: store.path,
      key: tensor.name,
      fate: 'ignored',
      detail,
      shape: tensor.shape,
      dtype: tensor.dtype,
    });
  }
  return fates;
}
