/** A text as it is walked from one of its ends: positions count UTF-16 units from that end. */

import { isBoundary, splitsCharacter, type BoundaryFacts } from './boundaries';
import type { KnownEnd } from './certain';
import { joinIds } from './truncate';

export interface Strand {
  readonly length: number;
  readonly text: string;
  /** Where a position lies in the text. */
  toText(at: number): number;
  /** The text between two positions, in reading order. */
  slice(from: number, to: number): string;
  isBoundary(facts: BoundaryFacts, at: number): boolean;
  splitsCharacter(at: number): boolean;
  /** Where a slice, in reading order, ends for the walk. */
  readonly farEnd: KnownEnd;
  /** Whether `ids`, as the walk meets them, begin with `start`. */
  begins(ids: Int32Array, start: Int32Array): boolean;
  /** Lists in the order of the walk, to `count` ids in reading order. */
  join(lists: readonly Int32Array[], count: number): Int32Array;
}

export function fromStart(text: string): Strand {
  return {
    length: text.length,
    slice: (from, to) => text.slice(from, to),
    text,
    toText: (at) => at,
    isBoundary: (facts, at) => isBoundary(facts, text, at),
    splitsCharacter: (at) => splitsCharacter(text, at),
    farEnd: 'last',
    begins: (ids, start) => start.length <= ids.length && start.every((id, i) => id === ids[i]),
    join: (lists, count) => joinIds(lists).slice(0, count),
  };
}

export function fromEnd(text: string): Strand {
  const { length } = text;
  return {
    length,
    slice: (from, to) => text.slice(Math.max(length - to, 0), length - from),
    text,
    toText: (at) => length - at,
    isBoundary: (facts, at) => isBoundary(facts, text, length - at),
    splitsCharacter: (at) => splitsCharacter(text, length - at),
    farEnd: 'first',
    begins: (ids, start) => {
      const shift = ids.length - start.length;
      return shift >= 0 && start.every((id, i) => id === ids[shift + i]);
    },
    join: (lists, count) => {
      const ids = joinIds(lists.toReversed());
      return ids.slice(Math.max(ids.length - count, 0));
    },
  };
}
