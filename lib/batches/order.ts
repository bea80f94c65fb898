/** In which order waiting rows are taken. */

import type { BatchLimits } from './plan';

/** By length, group after group. */
export type Waiting<T> = ReadonlyMap<number, readonly (readonly T[])[]>;

const ROWS_A_ROUND = 16;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/**
 * Where padding counts, the longest first. Where there is none, all lengths evenly: a call, and each wave that an engine fills
 * out of it, finds small rows for the gaps that long ones leave, 3 % of all work with rows as the data has them.
 */
export function inOrder<T>(waiting: Waiting<T>, { padding }: Pick<BatchLimits, 'padding'>): Generator<T, void> {
  return padding === 'none' ? evenly(waiting) : longestFirst(waiting);
}

function* longestFirst<T>(waiting: Waiting<T>): Generator<T, void> {
  for (const [, groups] of byFallingLength(waiting)) {
    for (const group of groups) yield* group;
  }
}

/** Rows of one length, of which some have been taken. */
interface Cursor<T> {
  readonly rows: readonly T[];
  /** Lengths with fewer rows than there are rounds begin at different rounds: from 0 to 1. */
  readonly phase: number;
  taken: number;
}

/** Every round has its part of each length; a round looks only at the lengths that have a row for it. */
function* evenly<T>(waiting: Waiting<T>): Generator<T, void> {
  const cursors = byFallingLength(waiting).map(([, groups], i): Cursor<T> => ({
    rows: groups.length === 1 ? (groups[0] ?? []) : groups.flat(),
    phase: (i * GOLDEN) % 1,
    taken: 0,
  }));
  const count = cursors.reduce((sum, { rows }) => sum + rows.length, 0);
  const rounds = Math.max(1, Math.ceil(count / ROWS_A_ROUND));
  const due = new Map<number, Cursor<T>[]>();
  const wait = (cursor: Cursor<T>): void => {
    const round = roundOf(cursor, rounds);
    const same = due.get(round);
    if (same) same.push(cursor);
    else due.set(round, [cursor]);
  };
  cursors.forEach(wait);
  for (let round = 0; round < rounds; round += 1) {
    for (const cursor of due.get(round) ?? []) {
      const from = cursor.taken;
      while (cursor.taken < cursor.rows.length && roundOf(cursor, rounds) === round) cursor.taken += 1;
      yield* cursor.rows.slice(from, cursor.taken);
      if (cursor.taken < cursor.rows.length) wait(cursor);
    }
    due.delete(round);
  }
}

/** In which of the rounds the next row is taken, so that the rows of a length are evenly apart. */
function roundOf({ rows, phase, taken }: Cursor<unknown>, rounds: number): number {
  return Math.max(0, Math.ceil(((taken + 1 - phase) * rounds) / rows.length) - 1);
}

function byFallingLength<T>(waiting: Waiting<T>): readonly (readonly [number, readonly (readonly T[])[]])[] {
  return [...waiting].sort(([a], [b]) => b - a);
}
