/** What our CUDA engine takes: the sizes of native/engine/cuda/weights.cc and forward.cc, before anything is loaded. */

import { linearShapes, type BaseShape, type StoredTensor } from './base-facts';
import type { GgmlType } from './gguf-types';
import { roundUp, type LargestBatch, type MemoryEstimate, type ModelFiles } from './memory';

/** 16-bit copies, e4m3 copies of a byte, or as stored in the file where our kernels read the format. */
export type CudaStorage = 'resident' | 'fp8' | 'streamed';

const MIB = 2 ** 20;
const F32 = 4;
const WIDE = 2;
/** Most waves of a call that share one expansion of a layer's streamed weights: native/engine/cuda/choices.cc. */
export const MOST_SHARING = 2;

/** The driver hands out memory in steps. */
const ALLOCATION_STEP = 2 * MIB;
/** Heads as our kernels have them; narrower ones are filled with zeros. */
const HEAD_WIDTHS = [64, 128, 256] as const;
/** A call is cut into waves of so many tokens a multiprocessor, or of twice as many: native/engine/cuda/packing.cc. */
const MOST_MULTIPROCESSORS = 192;
const WAVE_TOKENS_EACH = 64;
/** cuBLASLt's workspace; the run of a batch. */
const WORKSPACE_BYTES = 64 * MIB;
const SMALL_BYTES = 16 * MIB;

/** What our kernels read as stored: native/engine/cuda/upload.cc. Every other format arrives as f32, as f32 itself does. */
export const READ_AS_STORED: ReadonlySet<GgmlType> = new Set<GgmlType>([
  'f16',
  'bf16',
  'q4_0',
  'q4_1',
  'q5_0',
  'q5_1',
  'q8_0',
  'q4_K',
  'q5_K',
  'q6_K',
]);

/** Left on each GPU to the driver, to cuBLASLt's own code and to others. */
export const CUDA_SPARE_BYTES = 512 * MIB;

export function estimateCudaMemory(files: ModelFiles, batch: LargestBatch, storage: CudaStorage): MemoryEstimate {
  const shape = { ...files.base, headDim: HEAD_WIDTHS.find((width) => width >= files.base.headDim) ?? 256 };
  const weights = weightBytes(files, shape, storage);
  const work = workBytes(shape, files.maxLength, { batch, storage });
  // Loading holds one matrix twice or three times, before there are buffers for batches.
  const scratch = Math.max(work, keepsFile(files, storage) ? 0 : 3 * WIDE * largestMatrix(shape));
  return { weights, cache: 0, scratch, total: weights + scratch };
}

/** Whether no matrix is turned into something else while it is loaded. */
function keepsFile({ base }: ModelFiles, storage: CudaStorage): boolean {
  return storage === 'streamed' && base.stored.matrices.every(({ type }) => READ_AS_STORED.has(type));
}

function weightBytes(files: ModelFiles, shape: BaseShape, storage: CudaStorage): number {
  const { base, adapterBytes } = files;
  const apart = embeddingBytes(base.stored.embedding) + ropeBytes(files.maxLength, shape) + smallBytes(shape);
  if (storage === 'streamed') {
    const matrices = base.stored.matrices.reduce((sum, matrix) => sum + streamedBytes(matrix), 0);
    // The adapter stays beside the weights, in f32.
    return apart + matrices + 2 * adapterBytes;
  }
  const bytesEach = storage === 'fp8' ? 1 : WIDE;
  const layer = linearShapes(shape).reduce(
    (sum, { inputs, outputs }) => sum + roundUp(inputs * outputs * bytesEach, ALLOCATION_STEP),
    0,
  );
  return apart + shape.layers * layer;
}

/** What arrives as f32 is kept merged, in 16 bits. */
function streamedBytes({ type, values, bytes }: StoredTensor): number {
  return roundUp(READ_AS_STORED.has(type) ? bytes : WIDE * values, ALLOCATION_STEP);
}

/** Its rows are read where they lie, however the matrices are kept. */
function embeddingBytes(embedding: StoredTensor | null): number {
  if (embedding === null) return 0;
  const { type, values, bytes } = embedding;
  return roundUp(READ_AS_STORED.has(type) ? bytes : F32 * values, ALLOCATION_STEP);
}

/** At most four norms a layer, the last norm, the head; some more, for each is a buffer of its own. */
function smallBytes({ layers, hidden }: BaseShape): number {
  return roundUp((4 * layers + 16) * hidden * F32, ALLOCATION_STEP) + 2 * ALLOCATION_STEP;
}

/** Cosines and sines of every position. */
function ropeBytes(maxLength: number, { headDim }: BaseShape): number {
  return 2 * roundUp(maxLength * (headDim / 2) * F32, ALLOCATION_STEP);
}

interface Work {
  readonly batch: LargestBatch;
  readonly storage: CudaStorage;
}

/** Buffers of one wave, and of its last tokens; of streamed weights what waves keep that share a layer. */
function workBytes(shape: BaseShape, maxLength: number, { batch, storage }: Work): number {
  const { hidden, heads, kvHeads, headDim, feedForward } = shape;
  const activation = storage === 'fp8' ? 1 : WIDE;
  const query = heads * headDim;
  const qkv = query + 2 * kvHeads * headDim;
  const narrow = storage === 'fp8' ? query + F32 : 0;
  const wave = tokensKept(maxLength, batch);
  const kept = storage === 'streamed' ? tokensSharing(maxLength, batch) : wave;
  // Attention is over before gate and up begin, in the same place.
  const widest = Math.max(qkv + query, 2 * feedForward) * WIDE;
  const each = hidden * WIDE + widest + feedForward * activation + narrow;
  const last = hidden * (2 * F32 + activation) + query * WIDE;
  const expanded = WIDE * expandedValues(shape, maxLength, { batch, storage });
  return (
    kept * hidden * (F32 + activation) +
    wave * each +
    batch.maxBatchSequences * last +
    expanded +
    WORKSPACE_BYTES +
    SMALL_BYTES
  );
}

/**
 * Of resident weights a matrix, which a row may need in the safer 16-bit type; of streamed ones too, or a whole layer where
 * waves share it: no wave is shorter than the longest sequence.
 */
function expandedValues(shape: BaseShape, maxLength: number, { batch, storage }: Work): number {
  if (storage === 'fp8') return 0;
  if (storage === 'resident' || batch.maxBatchTokens < 2 * maxLength) return largestMatrix(shape);
  return linearShapes(shape).reduce((sum, { inputs, outputs }) => sum + inputs * outputs, 0);
}

/** Of the GPU whose waves are longest: a call holds at least two of those that are twice as long. */
export function tokensKept(maxLength: number, { maxBatchTokens }: Pick<LargestBatch, 'maxBatchTokens'>): number {
  const filling = MOST_MULTIPROCESSORS * WAVE_TOKENS_EACH;
  const wave = Math.max(Math.min(maxBatchTokens, filling), Math.min(Math.floor(maxBatchTokens / 2), 2 * filling));
  return roundUp(Math.max(wave, maxLength), 16);
}

/** Tokens whose residual stream is kept: of one wave, or of all that share the expanded weights of a layer. */
export function tokensSharing(maxLength: number, batch: Pick<LargestBatch, 'maxBatchTokens'>): number {
  const wave = tokensKept(maxLength, batch);
  return Math.max(wave, Math.min(batch.maxBatchTokens, MOST_SHARING * wave));
}

function largestMatrix(shape: BaseShape): number {
  return Math.max(...linearShapes(shape).map(({ inputs, outputs }) => inputs * outputs));
}
