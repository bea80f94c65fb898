/** A text as it is walked from one of its ends: positions count UTF-16 units from that end. */

import { isBoundary, splitsCharacter, type BoundaryFacts } from './boundaries';
import { joinIds } from './truncate';

export interface Strand {
  readonly length: number;
  /** The text between two positions, in reading order. */
  slice(from: number, to: number): string;
  isBoundary(facts: BoundaryFacts, at: number): boolean;
  splitsCharacter(at: number): boolean;
  /** Length of the run of one class that fills the walk's far end of a window, 0 where other things stand beside it. */
  runLength(window: string): number;
  /** Whether `ids`, as the walk meets them, begin with `start`. */
  begins(ids: Int32Array, start: Int32Array): boolean;
  /** Lists in the order of the walk, to `count` ids in reading order. */
  join(lists: readonly Int32Array[], count: number): Int32Array;
}

/** What one match of Llama-3's expression can hold. */
const MARKS = '[!-/:-@\\[-`{-~]';
const RUN_AT_END = new RegExp(`^(?:[ \\t]*([A-Za-z]+|${MARKS}+)|([ \\t]+))$`);
const RUN_AT_START = new RegExp(`^(?:([A-Za-z]+|${MARKS}+)|([ \\t]+)(?:[A-Za-z]*|${MARKS}*))$`);

function runIn(pattern: RegExp, window: string): number {
  const match = pattern.exec(window);
  return (match?.[1] ?? match?.[2] ?? '').length;
}

export function fromStart(text: string): Strand {
  return {
    length: text.length,
    slice: (from, to) => text.slice(from, to),
    isBoundary: (facts, at) => isBoundary(facts, text, at),
    splitsCharacter: (at) => splitsCharacter(text, at),
    runLength: (window) => runIn(RUN_AT_END, window),
    begins: (ids, start) => start.length <= ids.length && start.every((id, i) => id === ids[i]),
    join: (lists, count) => joinIds(lists).slice(0, count),
  };
}

export function fromEnd(text: string): Strand {
  const { length } = text;
  return {
    length,
    slice: (from, to) => text.slice(Math.max(length - to, 0), length - from),
    isBoundary: (facts, at) => isBoundary(facts, text, length - at),
    splitsCharacter: (at) => splitsCharacter(text, length - at),
    runLength: (window) => runIn(RUN_AT_START, window),
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
