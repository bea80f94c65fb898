/** What an engine is opened with where the user says nothing. */

import { PairscoreError } from '../errors';
import type { ModelSpec } from './spec';

/** Padding counted. The planner of batches/ takes it as it is. */
export interface EngineLimits {
  readonly maxBatchTokens: number;
  readonly maxBatchSequences: number;
}

/** A CPU gains nothing from larger batches; a GPU needs them to be busy, and takes smaller ones where memory is short. */
const CPU_BATCH_TOKENS = 4096;
const GPU_BATCH_TOKENS = [16384, 8192, 4096, 2048] as const;
const MAX_BATCH_SEQUENCES = 64;

export function engineLimits(spec: ModelSpec, batchTokens: number | null): EngineLimits {
  refuseSmall(spec, batchTokens);
  return {
    maxBatchTokens: batchTokens ?? Math.max(CPU_BATCH_TOKENS, spec.maxLength),
    maxBatchSequences: MAX_BATCH_SEQUENCES,
  };
}

/** Batch sizes to try on a GPU, the largest first: the user's alone where there is one. */
export function gpuBatchSizes(specs: readonly ModelSpec[], batchTokens: number | null): readonly number[] {
  for (const spec of specs) refuseSmall(spec, batchTokens);
  if (batchTokens !== null) return [batchTokens];
  const longest = Math.max(...specs.map(({ maxLength }) => maxLength));
  return [...new Set(GPU_BATCH_TOKENS.map((tokens) => Math.max(tokens, longest)))];
}

function refuseSmall(spec: ModelSpec, batchTokens: number | null): void {
  if (batchTokens === null || batchTokens >= spec.maxLength) return;
  const text = `Expected at least ${spec.maxLength}, maxLength of model ${spec.name}, for batchTokens but received ${batchTokens}`;
  throw new PairscoreError('ERR_CONFIG', text);
}
