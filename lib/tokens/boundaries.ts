/**
 * Places where a text may be cut so that ids(text) = ids(left) + ids(right), whatever stands further away.
 *
 * In any splitting but 'unknown': where an added token begins that overlaps no other (added.ts), for it is matched first.
 * No place inside an occurrence of an added token is one.
 *
 * 'whole' (SentencePiece BPE as in Gemma: no split before merging). A merge only ever makes a token of the vocabulary. If
 * no vocabulary entry holds the character x directly followed by y, no symbol ever spans the place between them; the
 * merges on either side then touch only their own side, and as the best pair of the whole is the best of its side, each
 * side merges as it would alone. Characters that fall back to bytes never merge.
 *
 * 'llama3' (Llama-3's regular expression, then byte-level BPE). A place is safe where the expression always ends a match,
 * sees nothing of what follows, and starts anew. Letters only occur as the end of a match (`[^\r\n\p{L}\p{N}]?\p{L}+`, or
 * a contraction), so letter|other is one. Digits only occur in `\p{N}{1,3}`: digit|other. Punctuation is
 * ` ?[^\s\p{L}\p{N}]+[\r\n]*`: punctuation|digit and punctuation|space, but not |letter and not |newline. A line end is
 * the end of a match where no other line end follows in the same white space. Only `\s+(?!\S)` looks ahead, and no match
 * of it ends at any of these. Characters whose class engines disagree on (classes.ts) are no side of a boundary.
 *
 * 'unknown': nothing is known to be safe.
 */

import { clearBeginsAt, straddling, type AddedFacts } from './added';
import { classOf } from './classes';

export type Splitting = 'whole' | 'llama3' | 'unknown';

export interface BoundaryFacts {
  readonly splitting: Splitting;
  /** Most UTF-16 units that one token can stand for. */
  readonly longestToken: number;
  /** The same for tokens of ASCII letters only. */
  readonly longestLetters: number;
  /**
   * A bit set by hash: pairs of characters that some added token holds, and under 'whole' any token. A wrong hit only
   * costs time.
   */
  readonly joinedPairs: Uint8Array;
  readonly added: AddedFacts;
}

const PAIR_BITS = 20;
const SPACE = 0x20;
/** What Gemma's normalizer makes of a space. */
export const SPACE_MARK = '\u2581';

export function emptyPairs(): Uint8Array {
  return new Uint8Array(1 << (PAIR_BITS - 3));
}

export function addPairs(pairs: Uint8Array, text: string): void {
  let before = -1;
  for (const character of text) {
    const code = plain(character.codePointAt(0) ?? 0);
    const bit = before < 0 ? -1 : pairBit(before, code);
    if (bit >= 0) pairs[bit >> 3] = (pairs[bit >> 3] ?? 0) | (1 << (bit & 7));
    before = code;
  }
}

/** Whether the text may be cut before the UTF-16 unit at `at`. */
export function isBoundary(facts: BoundaryFacts, text: string, at: number): boolean {
  if (facts.splitting === 'unknown' || splitsCharacter(text, at)) return false;
  const left = codeBefore(text, at);
  const right = text.codePointAt(at);
  if (left === undefined || right === undefined) return false;
  const mayJoin = isJoined(facts.joinedPairs, left, right);
  const ends = facts.splitting === 'whole' ? !mayJoin : endsMatch(text, at);
  if (!ends) return clearBeginsAt(facts.added, text, at);
  return !mayJoin || straddling(facts.added, text, at) === null;
}

function isJoined(pairs: Uint8Array, left: number, right: number): boolean {
  const bit = pairBit(plain(left), plain(right));
  return ((pairs[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
}

/** Whether a match of Llama-3's expression ends at `at`, which is no end of the text. */
function endsMatch(text: string, at: number): boolean {
  const left = classOf(codeBefore(text, at) ?? 0);
  const right = classOf(text.codePointAt(at) ?? 0);
  if (left === 'unsure' || right === 'unsure') return false;
  if (left === 'letter' || left === 'digit') return left !== right;
  if (left === 'mark') return right === 'digit' || right === 'space';
  if (left === 'space' || right === 'newline') return false;
  return right !== 'space' || endsLines(text, at);
}

/** How far spaces after a line end are looked through. */
const LOOKED_THROUGH = 64;

/** Whether the spaces from `at` on lead to anything but a line end. */
function endsLines(text: string, at: number): boolean {
  for (let to = at + 1; to < Math.min(at + LOOKED_THROUGH, text.length); to++) {
    const next = classOf(text.codePointAt(to) ?? 0);
    if (next !== 'space') return next !== 'newline' && next !== 'unsure';
  }
  return false;
}

export function splitsCharacter(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  const before = text.charCodeAt(at - 1);
  return unit >= 0xdc00 && unit <= 0xdfff && before >= 0xd800 && before <= 0xdbff;
}

/** The end of the last whole character that ends at `at` or before it. */
export function wholeUpTo(text: string, at: number): number {
  return splitsCharacter(text, at) ? at - 1 : at;
}

function codeBefore(text: string, at: number): number | undefined {
  return at <= 0 ? undefined : text.codePointAt(splitsCharacter(text, at - 1) ? at - 2 : at - 1);
}

function plain(code: number): number {
  return code === SPACE ? 0x2581 : code;
}

function pairBit(left: number, right: number): number {
  return Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca6b) >>> (32 - PAIR_BITS);
}
