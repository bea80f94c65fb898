/** What an engine is opened with where the user says nothing. */

import { PairscoreError } from '../errors';
import type { ModelSpec } from './spec';

/** Padding counted. The planner of batches/ takes it as it is. */
export interface EngineLimits {
  readonly maxBatchTokens: number;
  readonly maxBatchSequences: number;
}

/** A CPU gains nothing from larger batches; a GPU needs them to be busy. */
const CPU_BATCH_TOKENS = 4096;
const GPU_BATCH_TOKENS = 16384;
const MAX_BATCH_SEQUENCES = 64;

/** Scratch memory of a GPU beside the weights: a floor, and keys, values and activations of each token of a batch. */
const GPU_SCRATCH_BYTES = 256 * 2 ** 20;
const GPU_BYTES_A_TOKEN = 192 * 2 ** 10;

export function engineLimits(spec: ModelSpec, device: string, batchTokens: number | null): EngineLimits {
  if (batchTokens !== null && batchTokens < spec.maxLength) {
    const text = `Expected at least ${spec.maxLength}, maxLength of model ${spec.name}, for batchTokens but received ${batchTokens}`;
    throw new PairscoreError('ERR_CONFIG', text);
  }
  const usual = device === 'cpu' ? CPU_BATCH_TOKENS : GPU_BATCH_TOKENS;
  return {
    // No batch can hold more, whatever is asked for: an engine allocates for all of it.
    maxBatchTokens: Math.min(batchTokens ?? Math.max(usual, spec.maxLength), MAX_BATCH_SEQUENCES * spec.maxLength),
    maxBatchSequences: MAX_BATCH_SEQUENCES,
  };
}

/** An estimate, for placing models; the engine itself measures before it allocates. */
export function gpuBytes(weightBytes: number, limits: EngineLimits): number {
  return weightBytes + GPU_SCRATCH_BYTES + limits.maxBatchTokens * GPU_BYTES_A_TOKEN;
}
