/** Runs of characters of some classes, however long. */

import { splitsCharacter } from './boundaries';
import { classOf, type CharacterClass } from './classes';
import type { Pace } from './pace';

/** UTF-16 units between two looks at the clock. */
const STEP = 1 << 14;

/** Of the characters from `at` on that are of `classes`, where the last one ends. */
export async function runEnd(text: string, at: number, classes: Classes, pace: Pace): Promise<number> {
  for (let to = at; ;) {
    if (pace.isOver) await pace.turn();
    for (const limit = Math.min(to + STEP, text.length); to < limit;) {
      const code = text.codePointAt(to) ?? 0;
      if (!classes.has(classOf(code))) return to;
      to += code > 0xffff ? 2 : 1;
    }
    if (to >= text.length) return text.length;
  }
}

/** Of the characters before `at` that are of `classes`, where the first one begins. */
export async function runStart(text: string, at: number, classes: Classes, pace: Pace): Promise<number> {
  for (let from = at; ;) {
    if (pace.isOver) await pace.turn();
    for (const limit = Math.max(from - STEP, 0); from > limit;) {
      const before = startBefore(text, from);
      if (!classes.has(classOf(text.codePointAt(before) ?? 0))) return from;
      from = before;
    }
    if (from <= 0) return 0;
  }
}

export type Classes = ReadonlySet<CharacterClass>;

/** Where the character before `at` begins. */
export function startBefore(text: string, at: number): number {
  return splitsCharacter(text, at - 1) ? at - 2 : at - 1;
}

export function classBefore(text: string, at: number): CharacterClass | null {
  return at <= 0 ? null : classOf(text.codePointAt(startBefore(text, at)) ?? 0);
}

export function classAt(text: string, at: number): CharacterClass | null {
  return at >= text.length ? null : classOf(text.codePointAt(at) ?? 0);
}
