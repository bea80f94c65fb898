/** Repetitions in a text: stretches in which each UTF-16 unit is the one that stands a period before it. */

import type { Pace } from './pace';

export interface Periodic {
  readonly text: string;
  readonly from: number;
  readonly to: number;
  readonly period: number;
}

/** Units between two looks at the clock. */
const STEP = 1 << 16;

/** The smallest period of a short text; its length, where it has none. */
export function smallestPeriod(text: string): number {
  // By the lengths of the longest ends that are starts too (Knuth, Morris, Pratt).
  const ends = new Int32Array(text.length);
  for (let at = 1, length = 0; at < text.length; at++) {
    while (length > 0 && text.charCodeAt(at) !== text.charCodeAt(length)) length = ends[length - 1] ?? 0;
    if (text.charCodeAt(at) === text.charCodeAt(length)) length++;
    ends[at] = length;
  }
  return text.length - (ends.at(-1) ?? 0);
}

/** How far the repetition that holds the first period from `from` on goes, at most to `to`. */
export async function periodEnd({ text, from, to, period }: Periodic, pace: Pace): Promise<number> {
  for (let at = from + period; at < to;) {
    if (pace.isOver) await pace.turn();
    for (const limit = Math.min(at + STEP, to); at < limit; at++) {
      if (text.charCodeAt(at) !== text.charCodeAt(at - period)) return at;
    }
  }
  return to;
}

/** Where the repetition that holds a period from `to` on begins, at least at `from`. */
export async function periodStart({ text, from, to, period }: Periodic, pace: Pace): Promise<number> {
  for (let at = to; at > from;) {
    if (pace.isOver) await pace.turn();
    for (const limit = Math.max(at - STEP, from); at > limit; at--) {
      if (text.charCodeAt(at - 1) !== text.charCodeAt(at - 1 + period)) return at;
    }
  }
  return from;
}
