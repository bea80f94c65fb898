/** Llama-3's expression takes digits by threes from the start of their run: `\p{N}{1,3}`. */

import { classOf } from './boundaries';
import type { Strand } from './strand';

/** Digits in one step, a multiple of three. */
const STEP = 6000;
const GROUP = 3;

/**
 * A place some thousand digits further where a group certainly ends, or null. A walk from the start stands where a group
 * starts, or at spaces before one. A walk from the end must look for the start of the run.
 */
export function borderInDigits(strand: Strand, at: number): number | null {
  if (strand.farEnd === 'last') {
    let start = at;
    while (start < at + STEP && strand.unitAt(start) === 0x20) start++;
    const border = start + STEP;
    return runEnd(strand, start, border) === border ? border : null;
  }
  const start = runEnd(strand, at, strand.length);
  const before = strand.unitAt(start);
  const isStart = Number.isNaN(before) || !['unsure', 'digit'].includes(classOf(before));
  const border = at + STEP - ((at + STEP - start) % GROUP);
  return isStart && start > at + STEP ? border : null;
}

function runEnd(strand: Strand, from: number, limit: number): number {
  let at = from;
  while (at < limit && isDigit(strand.unitAt(at))) at++;
  return at;
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}
