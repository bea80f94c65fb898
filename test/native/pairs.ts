/** Pairs of many lengths and scripts for tests of the scorer. */

import type { Pair, Preference } from '../../lib/pair';

const WORDS = 'the a model answer question code list why how 1 2 3 good bad sum prime река 東京 🍍 naïve ,.'.split(' ');

function words(count: number, seed: number): string {
  return Array.from({ length: count }, (_, i) => WORDS[(i * 7 + seed * 13 + ((i * seed) % 5)) % WORDS.length]).join(
    ' ',
  );
}

export function makePair(seed: number): Pair {
  const length = 1 + ((seed * 29) % 31);
  const responseB = words(1 + ((seed * 41) % 23), seed + 2);
  return {
    prompt: words(length, seed),
    responseA: seed % 4 === 0 ? [words(9, seed), null, ''] : words(length, seed + 1),
    responseB: seed % 7 === 0 ? [] : responseB,
  };
}

export function makePairs(count: number): readonly Pair[] {
  return Array.from({ length: count }, (_, seed) => makePair(seed));
}

/** Largest difference of any probability. */
export function distance(a: readonly Preference[], b: readonly Preference[]): number {
  if (a.length !== b.length) return Infinity;
  const differences = a.flatMap((one, i) => {
    const other = b[i];
    if (other === undefined) return [Infinity];
    return [
      Math.abs(one.winnerModelA - other.winnerModelA),
      Math.abs(one.winnerModelB - other.winnerModelB),
      Math.abs(one.winnerTie - other.winnerTie),
    ];
  });
  return differences.reduce((most, difference) => Math.max(most, difference), 0);
}

export async function collect<T>(source: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}
