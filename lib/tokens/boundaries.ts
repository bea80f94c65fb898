/**
 * Places where a text may be cut so that ids(text) = ids(left) + ids(right), whatever stands further away.
 *
 * 'whole' (SentencePiece BPE as in Gemma: no split before merging). A merge only ever makes a token of the vocabulary. If
 * no vocabulary entry holds the character x directly followed by y, no symbol ever spans the place between them; the
 * merges on either side then touch only their own side, and as the best pair of the whole is the best of its side, each
 * side merges as it would alone. Added tokens are matched from left to right and hold no such place either, as their
 * pairs are entered too. Characters that fall back to bytes never merge.
 *
 * 'llama3' (Llama-3's regular expression, then byte-level BPE). A place is safe where the expression always ends a match,
 * sees nothing of what follows, and starts anew. Letters only occur as the end of a match (`[^\r\n\p{L}\p{N}]?\p{L}+`, or
 * a contraction), so letter|other is one. Digits only occur in `\p{N}{1,3}`: digit|other. Punctuation is
 * ` ?[^\s\p{L}\p{N}]+[\r\n]*`: punctuation|digit and punctuation|space, but not |letter and not |newline. A line end
 * is always the end of a match unless more white space follows: newline|anything but white space. Only `\s+(?!\S)` looks
 * ahead, and no match of it ends at any of these. Characters whose class depends on the Unicode version are no side of
 * a boundary. The pairs inside added tokens are excluded, as above.
 *
 * 'unknown': nothing is known to be safe.
 */

export type Splitting = 'whole' | 'llama3' | 'unknown';

export interface BoundaryFacts {
  readonly splitting: Splitting;
  /** Most UTF-16 units that one token can stand for. */
  readonly longestToken: number;
  /** The same for tokens of ASCII letters only. */
  readonly longestLetters: number;
  /** A bit set by hash: pairs of characters that some token holds. A wrong hit only costs a boundary. */
  readonly joinedPairs: Uint8Array;
  /** A bit for each two bytes between which a token goes from one character to the next and holds one of them in part. */
  readonly straddledBytes: Uint8Array;
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
  const bit = pairBit(plain(left), plain(right));
  if (((facts.joinedPairs[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0) return false;
  return facts.splitting === 'whole' || endsMatch(classOf(left), classOf(right));
}

export function splitsCharacter(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  const before = text.charCodeAt(at - 1);
  return unit >= 0xdc00 && unit <= 0xdfff && before >= 0xd800 && before <= 0xdbff;
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

export type CharacterClass = 'letter' | 'digit' | 'mark' | 'space' | 'newline' | 'unsure';

function endsMatch(left: CharacterClass, right: CharacterClass): boolean {
  if (left === 'unsure' || right === 'unsure') return false;
  if (left === 'letter' || left === 'digit') return left !== right;
  if (left === 'mark') return right === 'digit' || right === 'space';
  return left === 'newline' && right !== 'space' && right !== 'newline';
}

const LETTER =
  /^(?=\p{L})[A-Za-z\u00c0-\u024f\u0391-\u03c9\u0410-\u044f\u05d0-\u05ea\u3041-\u30fa\u4e00-\u9fa5\uac00-\ud7a3]/u;
const MARK =
  /^[!-/:-@[-`{-~\u2010-\u2027\u3001-\u3003\u3008-\u3011\uff01-\uff0f\u{1f300}-\u{1f5ff}\u{1f600}-\u{1f64f}]/u;
const SPACE_LIKE = /^[ \t\u00a0\u2000-\u200a\u3000]/;

const knownClasses = new Map<number, CharacterClass>();

export function classOf(code: number): CharacterClass {
  const known = knownClasses.get(code);
  if (known !== undefined) return known;
  const found = classify(String.fromCodePoint(code));
  knownClasses.set(code, found);
  return found;
}

function classify(character: string): CharacterClass {
  if (LETTER.test(character)) return 'letter';
  if (/^[0-9]/.test(character)) return 'digit';
  if (/^[\r\n]/.test(character)) return 'newline';
  if (SPACE_LIKE.test(character)) return 'space';
  return MARK.test(character) ? 'mark' : 'unsure';
}
