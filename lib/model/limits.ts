/** What an engine is opened with where the user says nothing. */

import type { Compute } from '../compute';
import { PairscoreError } from '../errors';
import type { BatchSizes } from './place';
import type { ModelSpec } from './spec';

/** The planner of batches/ takes it as it is. */
export interface EngineLimits {
  readonly maxBatchTokens: number;
  readonly maxBatchSequences: number;
  /** 'counted' in maxBatchTokens, or 'none': sequences lie end to end. */
  readonly padding: 'counted' | 'none';
}

/** Ours for CUDA, and libllama's on a GPU or on the CPU. */
export type EngineKind = 'cuda' | 'ggml' | 'cpu';

type SizedSpec = Pick<ModelSpec, 'name' | 'maxLength'>;

/** A CPU gains nothing from larger batches. */
const CPU_BATCH_TOKENS = 4096;

/**
 * The largest first; smaller ones where memory is short. Ours cuts a call into waves of its own, 16896 tokens on the 132
 * multiprocessors of an H100, or half as many where a call has no room for two, as on larger GPUs. It allocates for one wave, or
 * for two that share streamed weights: two waves a call keep it busy between calls.
 */
const GPU_BATCH_TOKENS = {
  cuda: [[33792, 16896], [8448], [4224], [2560], [2048]],
  ggml: [[16384], [8192], [4096], [2048]],
} as const;

/** Ours has no padding, and a row costs it little memory. */
const CUDA_SEQUENCES = 512;
const MAX_BATCH_SEQUENCES = 64;

export function engineKind(device: string, compute: Compute): EngineKind {
  if (device === 'cpu') return 'cpu';
  return compute === 'ggml' ? 'ggml' : 'cuda';
}

/** batchTokens: the user's on a CPU, on a GPU those that placing chose. */
export function engineLimits(spec: SizedSpec, kind: EngineKind, batchTokens: number | null): EngineLimits {
  refuseSmall(spec, batchTokens);
  const wanted = batchTokens ?? Math.max(CPU_BATCH_TOKENS, spec.maxLength);
  const maxBatchSequences = mostSequences(kind, wanted);
  // An engine prepares for as much as it is told, even where so many sequences cannot be so long.
  const maxBatchTokens = Math.min(wanted, maxBatchSequences * spec.maxLength);
  return { maxBatchTokens, maxBatchSequences, padding: kind === 'cuda' ? 'none' : 'counted' };
}

/** libllama keeps whole steps of 256 keys and values a sequence: many short ones take memory that a small card lacks. */
function mostSequences(kind: EngineKind, batchTokens: number): number {
  if (kind === 'cuda') return CUDA_SEQUENCES;
  if (kind === 'cpu') return MAX_BATCH_SEQUENCES;
  return Math.max(8, Math.min(MAX_BATCH_SEQUENCES, Math.floor(batchTokens / 256)));
}

/** What to try on a GPU: the user's alone where there is one. */
export function gpuBatchSizes(
  specs: readonly SizedSpec[],
  kind: Exclude<EngineKind, 'cpu'>,
  batchTokens: number | null,
): BatchSizes {
  for (const spec of specs) refuseSmall(spec, batchTokens);
  if (batchTokens !== null) return [[batchTokens]];
  const longest = Math.max(...specs.map(({ maxLength }) => maxLength));
  return GPU_BATCH_TOKENS[kind].map((sizes) => [...new Set(sizes.map((tokens) => Math.max(tokens, longest)))]);
}

function refuseSmall(spec: SizedSpec, batchTokens: number | null): void {
  if (batchTokens === null || batchTokens >= spec.maxLength) return;
  const text = `Expected at least ${spec.maxLength}, maxLength of model ${spec.name}, for batchTokens but received ${batchTokens}`;
  throw new PairscoreError('ERR_CONFIG', text);
}
