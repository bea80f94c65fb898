/** Which sequences are scored together: the longest first, and so of similar length, under a budget of tokens. */

import { PairscoreError } from '../errors';

export interface BatchLimits {
  readonly maxBatchTokens: number;
  readonly maxBatchSequences: number;
  /** 'counted': each sequence of a batch costs what the longest costs. 'none': the engine lays them end to end. */
  readonly padding: 'counted' | 'none';
}

export interface Batch {
  /** Indices into the lengths, the longest sequence first. */
  readonly rows: readonly number[];
  readonly longest: number;
  readonly tokens: number;
  readonly paddedTokens: number;
}

/** Least share of a batch that is no padding. */
const LEAST_FILL = 0.75;

/** A batch of so few tokens costs a call whatever it holds: there padding is cheaper than another call. */
const SMALL_BATCH_TOKENS = 512;

/** Every row stands in exactly one batch. Throws ERR_CONFIG where one sequence alone exceeds the budget. */
export function planBatches(lengths: readonly number[], limits: BatchLimits): readonly Batch[] {
  const order = longestFirst(lengths);
  const sorted = order.map((row) => lengths[row] ?? 0);
  refuseTooLong(sorted[0] ?? 0, limits);
  const batches: Batch[] = [];
  for (let from = 0; from < order.length;) {
    const size = batchSize(sorted, from, limits);
    batches.push(toBatch(order, sorted, { from, size, padding: limits.padding }));
    from += size;
  }
  return batches;
}

/** Row indices by falling length; rows of one length keep their order. */
export function longestFirst(lengths: readonly number[]): readonly number[] {
  const byLength = new Map<number, number[]>();
  for (const [row, length] of lengths.entries()) {
    const same = byLength.get(length);
    if (same) same.push(row);
    else byLength.set(length, [row]);
  }
  return [...byLength.keys()].sort((a, b) => b - a).flatMap((length) => byLength.get(length) ?? []);
}

/** How many of the lengths from `from` on, which fall, make the next batch: at least one. */
export function batchSize(sorted: readonly number[], from: number, limits: BatchLimits): number {
  const longest = sorted[from] ?? 0;
  const most = Math.min(sorted.length - from, limits.maxBatchSequences);
  let tokens = longest;
  let size = 1;
  for (; size < most; size += 1) {
    tokens += sorted[from + size] ?? 0;
    const padded = limits.padding === 'none' ? tokens : longest * (size + 1);
    if (padded > limits.maxBatchTokens) break;
    if (padded > SMALL_BATCH_TOKENS && tokens < padded * LEAST_FILL) break;
  }
  return size;
}

export function refuseTooLong(length: number, limits: BatchLimits): void {
  if (length <= limits.maxBatchTokens) return;
  throw new PairscoreError(
    'ERR_CONFIG',
    `Expected at least ${length} tokens, the longest sequence, for batchTokens but received ${limits.maxBatchTokens}`,
  );
}

interface Range extends Pick<BatchLimits, 'padding'> {
  readonly from: number;
  readonly size: number;
}

function toBatch(order: readonly number[], sorted: readonly number[], { from, size, padding }: Range): Batch {
  const longest = sorted[from] ?? 0;
  const tokens = sorted.slice(from, from + size).reduce((sum, length) => sum + length, 0);
  const paddedTokens = padding === 'none' ? tokens : longest * size;
  return { rows: order.slice(from, from + size), longest, tokens, paddedTokens };
}
