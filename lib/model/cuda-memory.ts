/** What our CUDA engine takes: the sizes of native/engine/cuda/weights.cc and forward.cc, before anything is loaded. */

import { linearShapes, type BaseShape } from './base-facts';
import { roundUp, type LargestBatch, type MemoryEstimate, type ModelFiles } from './memory';

/** 16-bit copies, e4m3 copies of a byte, or as stored in the file. */
export type CudaStorage = 'resident' | 'fp8' | 'streamed';

const MIB = 2 ** 20;
const F32 = 4;
const WIDE = 2;

/** The driver hands out memory in steps. */
const ALLOCATION_STEP = 2 * MIB;
/** Heads as our kernels have them; narrower ones are filled with zeros. */
const HEAD_WIDTHS = [64, 128, 256] as const;
/** A wave is shorter on all GPUs of up to this many multiprocessors: a call is cut into waves, and only one is kept. */
const MOST_MULTIPROCESSORS = 192;
const WAVE_TOKENS_EACH = 64;
/** cuBLASLt's workspace; norms, tables, the run of a batch. */
const WORKSPACE_BYTES = 64 * MIB;
const SMALL_BYTES = 16 * MIB;

/** Left on each GPU to the driver, to cuBLASLt's own code and to others. */
export const CUDA_SPARE_BYTES = 512 * MIB;

export function estimateCudaMemory(files: ModelFiles, batch: LargestBatch, storage: CudaStorage): MemoryEstimate {
  const shape = { ...files.base, headDim: HEAD_WIDTHS.find((width) => width >= files.base.headDim) ?? 256 };
  const weights = weightBytes(files, shape, storage);
  const work = workBytes(shape, tokensKept(files.maxLength, batch), { batch, storage });
  // Loading holds one matrix twice or three times, before there are buffers for batches.
  const scratch = Math.max(work, storage === 'streamed' ? 0 : 3 * WIDE * largestMatrix(shape));
  return { weights, cache: 0, scratch, total: weights + scratch };
}

function weightBytes({ base, adapterBytes }: ModelFiles, shape: BaseShape, storage: CudaStorage): number {
  const embedding = roundUp(base.stored.embedding, ALLOCATION_STEP);
  if (storage === 'streamed') {
    const matrices = base.stored.matrices.reduce((sum, bytes) => sum + roundUp(bytes, ALLOCATION_STEP), 0);
    // The adapter stays beside the weights, in f32.
    return embedding + matrices + 2 * adapterBytes + SMALL_BYTES;
  }
  const bytesEach = storage === 'fp8' ? 1 : WIDE;
  const layer = linearShapes(shape).reduce(
    (sum, { inputs, outputs }) => sum + roundUp(inputs * outputs * bytesEach, ALLOCATION_STEP),
    0,
  );
  return embedding + shape.layers * layer + SMALL_BYTES;
}

interface Work {
  readonly batch: LargestBatch;
  readonly storage: CudaStorage;
}

/** Buffers of one wave, and of its last tokens. */
function workBytes(shape: BaseShape, tokens: number, { batch, storage }: Work): number {
  const { hidden, heads, kvHeads, headDim, feedForward } = shape;
  const activation = storage === 'fp8' ? 1 : WIDE;
  const query = heads * headDim;
  const qkv = query + 2 * kvHeads * headDim;
  const narrow = storage === 'fp8' ? query + F32 : 0;
  const each =
    hidden * (F32 + activation + WIDE) + (qkv + query) * WIDE + feedForward * (2 * WIDE + activation) + narrow;
  const last = hidden * (2 * F32 + activation) + query * WIDE;
  // Streamed weights are expanded into it, resident ones turned into the safer 16-bit type for a row that needs it.
  const expanded = storage === 'fp8' ? 0 : WIDE * largestMatrix(shape);
  return tokens * each + batch.maxBatchSequences * last + expanded + WORKSPACE_BYTES + SMALL_BYTES;
}

function tokensKept(maxLength: number, { maxBatchTokens }: LargestBatch): number {
  const wave = MOST_MULTIPROCESSORS * WAVE_TOKENS_EACH;
  return roundUp(Math.max(Math.min(maxBatchTokens, wave), maxLength), 16);
}

function largestMatrix(shape: BaseShape): number {
  return Math.max(...linearShapes(shape).map(({ inputs, outputs }) => inputs * outputs));
}
