/** What an engine is opened with where the user says nothing. */

import { PairscoreError } from '../errors';
import type { ModelSpec } from './spec';

/** Padding counted. The planner of batches/ takes it as it is. */
export interface EngineLimits {
  readonly maxBatchTokens: number;
  readonly maxBatchSequences: number;
}

type SizedSpec = Pick<ModelSpec, 'name' | 'maxLength'>;

/** A CPU gains nothing from larger batches; a GPU needs them to be busy, and takes smaller ones where memory is short. */
const CPU_BATCH_TOKENS = 4096;
const GPU_BATCH_TOKENS = [33792, 8448, 4096, 2048] as const;
const MAX_BATCH_SEQUENCES = 64;

/** batchTokens: the user's on a CPU, on a GPU those that placing chose. */
export function engineLimits(spec: SizedSpec, device: string, batchTokens: number | null): EngineLimits {
  refuseSmall(spec, batchTokens);
  const wanted = batchTokens ?? Math.max(CPU_BATCH_TOKENS, spec.maxLength);
  const maxBatchSequences = device === 'cpu' ? MAX_BATCH_SEQUENCES : 512;
  // An engine prepares for as much as it is told, even where so many sequences cannot be so long.
  return { maxBatchTokens: Math.min(wanted, maxBatchSequences * spec.maxLength), maxBatchSequences };
}


/** Batch sizes to try on a GPU, the largest first: the user's alone where there is one. */
export function gpuBatchSizes(specs: readonly SizedSpec[], batchTokens: number | null): readonly number[] {
  for (const spec of specs) refuseSmall(spec, batchTokens);
  if (batchTokens !== null) return [batchTokens];
  const longest = Math.max(...specs.map(({ maxLength }) => maxLength));
  return [...new Set(GPU_BATCH_TOKENS.map((tokens) => Math.max(tokens, longest)))];
}

function refuseSmall(spec: SizedSpec, batchTokens: number | null): void {
  if (batchTokens === null || batchTokens >= spec.maxLength) return;
  const text = `Expected at least ${spec.maxLength}, maxLength of model ${spec.name}, for batchTokens but received ${batchTokens}`;
  throw new PairscoreError('ERR_CONFIG', text);
}
