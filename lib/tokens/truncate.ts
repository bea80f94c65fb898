/** What is kept of a list of ids that is too long, and the tokens around it. Pure. */

import { PairscoreError } from '../errors';
import type { SurroundingTokens } from './post-processor';

/** right keeps the first ids, left the last, middle both ends, the first id more where their number is odd. */
export type Keep = 'right' | 'left' | 'middle';

export function headCount(keep: Keep, budget: number): number {
  if (keep === 'left') return 0;
  return keep === 'right' ? budget : Math.ceil(budget / 2);
}

export function truncate(ids: Int32Array, keep: Keep, budget: number): Int32Array {
  if (ids.length <= budget) return ids;
  const head = headCount(keep, budget);
  return joinIds([ids.subarray(0, head), ids.subarray(ids.length - (budget - head))]);
}

export function joinIds(lists: readonly Int32Array[]): Int32Array {
  const joined = new Int32Array(lists.reduce((sum, list) => sum + list.length, 0));
  let at = 0;
  for (const list of lists) {
    joined.set(list, at);
    at += list.length;
  }
  return joined;
}

/** Copies: the result shares no memory with the lists of other texts. */
export function surround(ids: Int32Array, { bos, eos }: SurroundingTokens): Int32Array {
  return joinIds([Int32Array.from(bos === null ? [] : [bos]), ids, Int32Array.from(eos === null ? [] : [eos])]);
}

/** Ids of text that fit, the special tokens around them counted. Special tokens always survive. */
export function roomFor(maxLength: number, { bos, eos }: SurroundingTokens): number {
  const room = maxLength - Number(bos !== null) - Number(eos !== null);
  if (room >= 0) return room;
  const text = `Expected a maximum length with room for bos and eos but received ${maxLength}`;
  throw new PairscoreError('ERR_CONFIG', text);
}

/** Budgets' worth of a part's ids that are counted: nobody must read a huge part to its end. */
export const COUNTED_BUDGETS = 16;

/**
 * Shares a budget in proportion to the parts' lengths, by largest remainders; no part gets more than it has. A part of
 * more than COUNTED_BUDGETS budgets counts as long as those.
 */
export function proportionalShares(lengths: readonly number[], budget: number): readonly number[] {
  const counted = lengths.map((length) => Math.min(length, COUNTED_BUDGETS * budget));
  const total = counted.reduce((sum, length) => sum + length, 0);
  if (total <= budget) return counted;
  const exact = counted.map((length) => (length * budget) / total);
  const shares = exact.map(Math.floor);
  const byRemainder = exact
    .map((share, i) => ({ i, remainder: share - Math.floor(share) }))
    .sort((a, b) => b.remainder - a.remainder || a.i - b.i);
  const missing = budget - shares.reduce((sum, share) => sum + share, 0);
  for (const { i } of byRemainder.slice(0, missing)) shares[i] = (shares[i] ?? 0) + 1;
  return shares;
}
