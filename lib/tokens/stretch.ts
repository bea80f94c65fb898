/**
 * What to read next where Llama-3's expression ends no match for certain for a long way (boundaries.ts). There, a text
 * consists of at most a few runs, each of one class: white space, then punctuation, then letters, or digits; and one of
 * them is long and lies in a single match, but for digits, which are taken by threes from the start of their run.
 */

import type { BoundaryFacts } from './boundaries';
import { classOf } from './classes';
import type { Pace } from './pace';
import { classAt, classBefore, type Classes } from './runs';

export interface Stretch {
  readonly from: number;
  readonly to: number;
  /**
   * 'match': one match of the expression, of any length. 'text': any number of whole ones, not many characters.
   * 'blank and match': the first character is a match of its own. Where a text is cut behind such a one, the white space
   * before it would take it.
   */
  readonly kind: 'text' | 'match' | 'blank and match';
}

/** A text, one of its boundaries, and how many characters are wanted at least where matches are short. */
export interface Place {
  readonly facts: BoundaryFacts;
  readonly text: string;
  readonly at: number;
  readonly wanted: number;
  readonly pace: Pace;
}

/** UTF-16 units that are looked at, and how many count as long. */
export const LOOK = 1 << 15;
export const LONG = 1 << 13;

export const LETTERS: Classes = new Set(['letter']);
export const DIGITS: Classes = new Set(['digit']);
export const MARKS: Classes = new Set(['mark']);
export const SPACES: Classes = new Set(['space']);
export const LINES: Classes = new Set(['newline']);
export const BLANKS: Classes = new Set(['space', 'newline']);

/** Whether the match that begins at `at` has left the white space before it one character too many. */
export function followsBlank(text: string, at: number): boolean {
  return classBefore(text, at) === 'space' && classAt(text, at) !== 'space';
}

export function tokenLength({ facts, text, at }: Pick<Place, 'facts' | 'text' | 'at'>): number {
  return facts.added.clear.find((one) => text.startsWith(one, at))?.length ?? 0;
}

/** Whether engines agree on every character, and no added token could stand inside a run. */
export function isSure({ added }: BoundaryFacts, text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.codePointAt(at) ?? 0;
    if (classOf(code) === 'unsure') return false;
    if (code > 0xffff) at++;
  }
  return !added.texts.some(isOfOneRun);
}

function isOfOneRun(token: string): boolean {
  const classes = Array.from(token, (one) => classOf(one.codePointAt(0) ?? 0));
  const groups: readonly Classes[] = [LETTERS, DIGITS, BLANKS, new Set([...MARKS, ...LINES])];
  return groups.some((group) => classes.every((one) => group.has(one)));
}

export function holdsAdded({ added }: BoundaryFacts, text: string): boolean {
  return added.texts.some((one) => text.includes(one));
}
