/** Which sequences are scored together, under a budget of tokens: of similar length where padding counts. */

import { PairscoreError } from '../errors';
import { inOrder } from './order';

export interface BatchLimits {
  readonly maxBatchTokens: number;
  /** At least one. */
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

/**
 * Left free, of the budget, or so many tokens of a large one, where rows could not be shared out to two waves of half the
 * budget: an engine that fills two waves out of a call would begin a third for the last of them.
 */
const LEFT_TO_WAVES = 1 / 192;
const MOST_LEFT_TOKENS = 88;

/** Every row stands in exactly one batch. Throws ERR_CONFIG where one sequence alone exceeds the budget. */
export function planBatches(lengths: readonly number[], limits: BatchLimits): readonly Batch[] {
  refuseTooLong(
    lengths.reduce((most, length) => Math.max(most, length), 0),
    limits,
  );
  const order = takingOrder(lengths, limits);
  const batches: Batch[] = [];
  let head: readonly number[] = [];
  for (let taken = 0; ;) {
    const more = order.slice(taken, taken + limits.maxBatchSequences - head.length);
    taken += more.length;
    head = [...head, ...more];
    if (head.length === 0) return batches;
    const { batch, rest } = takeBatch(head, (row) => lengths[row] ?? 0, limits);
    batches.push(toBatch(batch, lengths, limits));
    head = rest;
  }
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

/**
 * The next batch, and what is left of the rows that wait, in order. The first of them is always taken, so none waits for ever.
 * Where padding counts their lengths must fall.
 */
export function takeBatch<T>(
  waiting: readonly T[],
  lengthOf: (row: T) => number,
  limits: BatchLimits,
): { readonly batch: readonly T[]; readonly rest: readonly T[] } {
  const lengths = waiting.map(lengthOf);
  const full = chooseRows(lengths, limits);
  const left = Math.min(limits.maxBatchTokens * LEFT_TO_WAVES, MOST_LEFT_TOKENS);
  const isFine = limits.padding === 'counted' || full.size === waiting.length || hasHalves(pick(lengths, full), limits);
  const chosen = isFine ? full : chooseRows(lengths, { ...limits, maxBatchTokens: limits.maxBatchTokens - left });
  return { batch: pick(waiting, chosen), rest: waiting.filter((_, i) => !chosen.has(i)) };
}

function pick<T>(all: readonly T[], chosen: ReadonlySet<number>): readonly T[] {
  return all.filter((_, i) => chosen.has(i));
}

/** Indices of the rows that make a batch, the first of them always; where nothing is padded, later ones fill the gap. */
function chooseRows(lengths: readonly number[], limits: BatchLimits): ReadonlySet<number> {
  const size = batchSize(lengths, limits);
  const first = Array.from({ length: size }, (_, i) => i);
  return new Set([...first, ...(limits.padding === 'none' ? gapFilling(lengths, size, limits) : [])]);
}

/** Whether some of the rows make half of the budget at most, and the others too. A bit of `sums` is a sum that some make. */
function hasHalves(lengths: readonly number[], { maxBatchTokens }: BatchLimits): boolean {
  const all = lengths.reduce((sum, length) => sum + length, 0);
  const half = Math.floor(maxBatchTokens / 2);
  const sums = lengths.reduce((before, length) => before | (before << BigInt(length)), 1n);
  return BigInt.asUintN(Math.max(0, 2 * half - all + 1), sums >> BigInt(Math.max(0, all - half))) !== 0n;
}

/** How many of the first make a batch. */
function batchSize(lengths: readonly number[], limits: BatchLimits): number {
  const longest = lengths[0] ?? 0;
  const most = Math.min(lengths.length, limits.maxBatchSequences);
  let tokens = longest;
  let size = 1;
  for (; size < most; size += 1) {
    tokens += lengths[size] ?? 0;
    const padded = limits.padding === 'none' ? tokens : longest * (size + 1);
    if (padded > limits.maxBatchTokens) break;
    if (padded > SMALL_BATCH_TOKENS && tokens < padded * LEAST_FILL) break;
  }
  return size;
}

/** Which of the rows after the first `size` join them: ever the longest that there is room for. */
function gapFilling(lengths: readonly number[], size: number, limits: BatchLimits): ReadonlySet<number> {
  const used = lengths.slice(0, size).reduce((sum, length) => sum + length, 0);
  let room = limits.maxBatchTokens - used;
  const later = lengths.map((length, index) => ({ length, index })).slice(size);
  const joining = new Set<number>();
  for (const { length, index } of later.sort((a, b) => b.length - a.length)) {
    if (size + joining.size >= limits.maxBatchSequences) break;
    if (length > room) continue;
    joining.add(index);
    room -= length;
  }
  return joining;
}

export function refuseTooLong(length: number, limits: BatchLimits): void {
  if (length <= limits.maxBatchTokens) return;
  throw new PairscoreError(
    'ERR_CONFIG',
    `Expected at least ${length} tokens, the longest sequence, for batchTokens but received ${limits.maxBatchTokens}`,
  );
}

function toBatch(rows: readonly number[], lengths: readonly number[], limits: BatchLimits): Batch {
  const own = rows.map((row) => lengths[row] ?? 0);
  const longest = Math.max(...own);
  const tokens = own.reduce((sum, length) => sum + length, 0);
  return { rows, longest, tokens, paddedTokens: limits.padding === 'none' ? tokens : longest * rows.length };
}
