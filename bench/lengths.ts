/** Rows as long as those of the task: sixteen bins of equal count, the longest cut at 2048 tokens. */

const EDGES = [34, 133, 196, 263, 333, 406, 481, 551, 623, 703, 782, 878, 999, 1194, 1639, 2048] as const;

/** Where a peer can do no other: so many rows of so many tokens. */
export const FIXED_SHAPE = { rows: 24, length: 704 } as const;

export function fixedLengths(): readonly number[] {
  return Array.from({ length: FIXED_SHAPE.rows }, () => FIXED_SHAPE.length);
}

export type Random = () => number;

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Every bin is drawn equally often, in another order each time round, so that few rows already have the mean of many.
 * Fewer rows are the first of more.
 */
export function rowLengths(count: number, maxLength: number): readonly number[] {
  const random = randomFrom(11);
  const lengths: number[] = [];
  while (lengths.length < count) {
    const drawn = EDGES.map((high, bin) => {
      const low = bin === 0 ? 2 : (EDGES[bin - 1] ?? 2);
      return Math.min(maxLength, low + Math.ceil(random() * (high - low)));
    });
    lengths.push(...shuffled(drawn, random));
  }
  return lengths.slice(0, count);
}

/** Ids that are no special token in any of the vocabularies in use. */
export function randomRows(lengths: readonly number[], vocabularySize: number): readonly Int32Array[] {
  const random = randomFrom(5);
  const first = Math.min(300, vocabularySize - 1);
  const most = Math.max(1, Math.min(100_000, vocabularySize) - first);
  return lengths.map((length) => Int32Array.from({ length }, () => first + Math.floor(random() * most)));
}

export function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function shuffled(values: readonly number[], random: Random): readonly number[] {
  const keys = values.map((value) => ({ value, key: random() }));
  return keys.sort((a, b) => a.key - b.key).map(({ value }) => value);
}
