/** How much memory of a GPU a model takes, before anything is loaded. An upper bound: a run must not fail half way. */

import type { BaseFacts } from './base-facts';

/** The largest batch that an engine is opened for. */
export interface LargestBatch {
  readonly maxBatchTokens: number;
  readonly maxBatchSequences: number;
}

export interface MemoryEstimate {
  readonly weights: number;
  /** Keys and values of the largest batch: libllama's. */
  readonly cache: number;
  /** Activations of the largest batch, and what the library takes for itself. */
  readonly scratch: number;
  readonly total: number;
}

export interface ModelFiles {
  readonly base: BaseFacts;
  readonly adapterBytes: number;
  readonly maxLength: number;
}

/** Cells of a sequence come in steps of this many in llama.cpp. */
const CELL_STEP = 256;
const F16 = 2;
const F32 = 4;

/** cuBLAS workspaces and pools that round up; the CUDA context itself is not free memory any more when it is asked. */
const LIBRARY_BYTES = 320 * 2 ** 20;

/** llama.cpp's graph for one ubatch of the whole batch, activations in f32. */
export function estimateLlamaMemory(files: ModelFiles, batch: LargestBatch): MemoryEstimate {
  const { base, adapterBytes } = files;
  const weights = base.fileBytes + adapterBytes;
  const kvWidth = base.kvHeads * base.headDim;
  const cache = cacheTokens(files.maxLength, batch) * base.layers * 2 * kvWidth * F16;
  const attention = 2 * (base.heads * base.headDim + 2 * kvWidth);
  const width = 3 * base.hidden + Math.max(attention, 3 * base.feedForward);
  const maskRow = roundUp(Math.min(files.maxLength, batch.maxBatchTokens), CELL_STEP) * (F16 + F32);
  const scratch = LIBRARY_BYTES + batch.maxBatchTokens * (width * F32 + maskRow);
  return { weights, cache, scratch, total: weights + cache + scratch };
}

/** Each sequence has a stream of its own, rounded up: the worst batch is of many sequences just above a step. */
function cacheTokens(maxLength: number, { maxBatchTokens, maxBatchSequences }: LargestBatch): number {
  const longest = roundUp(Math.min(maxLength, maxBatchTokens), CELL_STEP);
  return Math.min(maxBatchSequences * longest, Math.max(longest, maxBatchTokens + maxBatchSequences * (CELL_STEP - 1)));
}

export function roundUp(count: number, step: number): number {
  return Math.ceil(count / step) * step;
}
