/** Which sequences are scored together, under a budget of tokens: of similar length where padding counts. */

import { PairscoreError } from '../errors';
import { inOrder } from './order';

export interface BatchLimits {
  readonly maxBatchTokens: number;
  readonly maxBatchSequences: number;
  /** 'counted': each sequence of a batch costs what the longest costs. 'none': the engine lays them end to end. */
  readonly padding: 'counted' | 'none';
}

export interface Batch {
  /** Indices into the lengths, in the order in which they are taken. */
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
  refuseTooLong(
    lengths.reduce((most, length) => Math.max(most, length), 0),
    limits,
  );
  const order = takingOrder(lengths, limits);
  const taken = order.map((row) => lengths[row] ?? 0);
  const batches: Batch[] = [];
  for (let from = 0; from < order.length;) {
    const size = batchSize(taken, from, limits);
    batches.push(toBatch(order, taken, { from, size, padding: limits.padding }));
    from += size;
  }
  return batches;
}

/** Row indices; where padding counts by falling length, rows of one length as they came. */
export function takingOrder(lengths: readonly number[], limits: Pick<BatchLimits, 'padding'>): readonly number[] {
  const byLength = new Map<number, number[]>();
  for (const [row, length] of lengths.entries()) {
    const same = byLength.get(length);
    if (same) same.push(row);
    else byLength.set(length, [row]);
  }
  return [...inOrder(new Map([...byLength].map(([length, rows]) => [length, [rows]])), limits)];
}

/** How many of the lengths from `from` on make the next batch: at least one. They fall where padding counts. */
export function batchSize(taken: readonly number[], from: number, limits: BatchLimits): number {
  const longest = taken[from] ?? 0;
  const most = Math.min(taken.length - from, limits.maxBatchSequences);
  let tokens = longest;
  let size = 1;
  for (; size < most; size += 1) {
    tokens += taken[from + size] ?? 0;
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

function toBatch(order: readonly number[], taken: readonly number[], { from, size, padding }: Range): Batch {
  const lengths = taken.slice(from, from + size);
  const longest = Math.max(...lengths);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const paddedTokens = padding === 'none' ? tokens : longest * size;
  return { rows: order.slice(from, from + size), longest, tokens, paddedTokens };
}
