/** In which order waiting rows are taken. */

import type { BatchLimits } from './plan';

/** By length, group after group. */
export type Waiting<T> = ReadonlyMap<number, readonly (readonly T[])[]>;

const ROWS_A_ROUND = 16;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/**
 * Where padding counts, the longest first. Where there is none, all lengths evenly: an engine that fills its own waves out of a
 * call finds small rows for the gaps that long ones leave, 3 % of all work with rows as the data has them.
 */
export function inOrder<T>(waiting: Waiting<T>, { padding }: Pick<BatchLimits, 'padding'>): Generator<T, void> {
  return padding === 'none' ? evenly(waiting) : longestFirst(waiting);
}

function* longestFirst<T>(waiting: Waiting<T>): Generator<T, void> {
  for (const [, groups] of byFallingLength(waiting)) {
    for (const group of groups) yield* group;
  }
}

/** Every round has its part of each length; where a length has fewer rows than there are rounds, they are spread over them. */
function* evenly<T>(waiting: Waiting<T>): Generator<T, void> {
  const lists = byFallingLength(waiting).map(([, groups]) => (groups.length === 1 ? (groups[0] ?? []) : groups.flat()));
  const count = lists.reduce((sum, { length }) => sum + length, 0);
  const rounds = Math.max(1, Math.ceil(count / ROWS_A_ROUND));
  for (let round = 0; round < rounds; round += 1) {
    for (const [i, rows] of lists.entries()) {
      const phase = (i * GOLDEN) % 1;
      const upTo = (part: number): number => Math.floor((part * rows.length) / rounds + phase);
      yield* rows.slice(upTo(round), upTo(round + 1));
    }
  }
}

function byFallingLength<T>(waiting: Waiting<T>): readonly (readonly [number, readonly (readonly T[])[]])[] {
  return [...waiting].sort(([a], [b]) => b - a);
}
