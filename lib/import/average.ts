import { PairscoreError } from '../errors';
import type { LoraPair } from './adapter';
import { moduleName } from './adapter-config';
import type { HeadWeights } from './head';

/**
 * How several adapters become one. `deltas` averages the products B·A exactly, at the sum of the ranks; `factors`
 * averages A and B themselves, at the rank they have, as some prize winners did with folds of one training run.
 */
export type AverageMode = 'deltas' | 'factors';

export interface Share<T> {
  readonly weight: number;
  readonly source: string;
  readonly value: T;
}

/** Weights that sum to 1. */
export function normalise(weights: readonly number[]): readonly number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const fine = weights.every((weight) => Number.isFinite(weight) && weight >= 0) && sum > 0;
  if (!fine)
    throw new PairscoreError(
      'ERR_USAGE',
      `Expected adapter weights of zero or more with a positive sum but received ${weights.join(', ')}`,
    );
  return weights.map((weight) => weight / sum);
}

export function averagePairs(shares: readonly Share<readonly LoraPair[]>[], mode: AverageMode): readonly LoraPair[] {
  const [first, ...rest] = shares;
  if (first === undefined) return [];
  if (rest.length === 0) return first.value;
  return first.value.map((pair) => {
    const same = shares.map((share) => ({ ...share, value: findPair(share, pair) }));
    return mode === 'deltas' ? concatenate(same) : mixFactors(same);
  });
}

function findPair(share: Share<readonly LoraPair[]>, like: LoraPair): LoraPair {
  const found = share.value.find((pair) => pair.layer === like.layer && pair.linear === like.linear);
  if (found !== undefined) return found;
  throw new PairscoreError(
    'ERR_MODEL_MISMATCH',
    `${share.source}: Expected a LoRA of ${moduleName(like.layer, like.linear)}, which the other adapters have`,
  );
}

export function checkSamePairs(shares: readonly Share<readonly LoraPair[]>[]): void {
  const counts = new Set(shares.map((share) => share.value.length));
  if (counts.size > 1) {
    throw new PairscoreError(
      'ERR_MODEL_MISMATCH',
      `Expected adapters of the same modules but received ${[...counts].join(', ')} of them`,
    );
  }
}

/** A stacked, B side by side with its scale and weight folded in: the sum of the products, exactly. */
function concatenate(shares: readonly Share<LoraPair>[]): LoraPair {
  const rank = shares.reduce((sum, share) => sum + share.value.rank, 0);
  const model = shares[0]?.value;
  if (model === undefined) throw new PairscoreError('ERR_INTERNAL', 'Expected an adapter');
  const inputs = model.a.length / model.rank;
  const outputs = model.b.length / model.rank;
  const a = new Float32Array(rank * inputs);
  const b = new Float32Array(outputs * rank);
  let column = 0;
  for (const { weight, value } of shares) {
    a.set(value.a, column * inputs);
    for (let row = 0; row < outputs; row++) {
      for (let r = 0; r < value.rank; r++)
        b[row * rank + column + r] = (value.b[row * value.rank + r] ?? 0) * weight * value.scale;
    }
    column += value.rank;
  }
  return { ...model, rank, scale: 1, a, b };
}

function mixFactors(shares: readonly Share<LoraPair>[]): LoraPair {
  const model = shares[0]?.value;
  if (model === undefined) throw new PairscoreError('ERR_INTERNAL', 'Expected an adapter');
  for (const { value, source } of shares) {
    if (value.rank !== model.rank || value.scale !== model.scale) {
      throw new PairscoreError(
        'ERR_MODEL_MISMATCH',
        `${source}: Expected rank ${model.rank} and scale ${model.scale} of ${moduleName(model.layer, model.linear)} but received ${value.rank} and ${value.scale}: average the deltas instead`,
      );
    }
  }
  const part = (side: 'a' | 'b') => mix(shares.map(({ weight, value }) => ({ weight, values: value[side] })));
  return { ...model, a: part('a'), b: part('b') };
}

function mix(parts: readonly { readonly weight: number; readonly values: Float32Array }[]): Float32Array {
  const sum = new Float64Array(parts[0]?.values.length ?? 0);
  for (const { weight, values } of parts)
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + weight * (values[i] ?? 0);
  return Float32Array.from(sum);
}

export function averageHeads(shares: readonly Share<HeadWeights>[]): HeadWeights {
  const model = shares[0]?.value;
  if (model === undefined) throw new PairscoreError('ERR_INTERNAL', 'Expected a head');
  if (shares.length === 1) return model;
  for (const { value, source } of shares) {
    if (value.labels !== model.labels)
      throw new PairscoreError(
        'ERR_MODEL_MISMATCH',
        `${source}: Expected a head of ${model.labels} labels but received ${value.labels}`,
      );
  }
  const biases = shares.flatMap(({ weight, value }) => (value.bias === null ? [] : [{ weight, values: value.bias }]));
  return {
    labels: model.labels,
    weight: mix(shares.map(({ weight, value }) => ({ weight, values: value.weight }))),
    bias: biases.length === 0 ? null : mix(biases),
  };
}
