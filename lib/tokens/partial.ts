/**
 * The first (or last) ids of a text without tokenizing all of it: so no text takes long, however large its cell. Proved
 * to be the ids that the whole text gives.
 *
 * 1. Up to a boundary (boundaries.ts), ids(text) = ids(left) + ids(right): the walk takes pieces that end at one.
 *
 * 2. A stretch without a boundary for a long way (a letter a million times) is walked by another argument. In BPE, if
 *    ids(T) has a token border at q, then ids(T) = ids(T[..q]) + ids(T[q..]): no merge that was done crosses q, and the
 *    merges done on a side are, in order, those which that side alone would do, for a better one on that side would have
 *    been done first. Added tokens, matched from the left, longest first, obey the same. No token is longer than L, so
 *    ids(T) has a border at some q in each window of L; which one, text far away decides. Take a window w-L < q <= w and
 *    tokenize every T[..q]. If all of these lists begin with the list of some T[..b], then so does ids(T), and the walk
 *    goes on at b. The answer depends on the window's text only: repetition is answered from memory.
 *    Under the 'llama3' splitting the argument holds inside one match of the expression: the far end of the window must
 *    lie in a run of letters, punctuation, spaces or line ends that goes on (runs.ts), and no token may end inside a
 *    character there, for the starts that are tokenized cannot.
 *
 *    A run of digits is matched by threes from its start (digits.ts).
 *
 * 3. Where neither applies, all the rest is tokenized: under 'llama3', tens of thousands of white spaces that mix line ends
 *    with others, or of characters that its vocabulary has only in parts.
 */

import type { BoundaryFacts } from './boundaries';
import { borderInDigits } from './digits';
import { mayBreakCharacters, runAt } from './runs';
import { fromEnd, fromStart, type Strand } from './strand';
import type { TextTokenizer } from './text-tokenizer';

export interface PartialContext {
  readonly tokenizer: TextTokenizer;
  readonly facts: BoundaryFacts;
  readonly checkAborted: () => void;
}

interface Walk extends PartialContext {
  readonly strand: Strand;
  readonly remembered: Map<string, Piece>;
  windowsLeft: number;
  at: number;
  /** No boundary lies from here to `searchedTo`. */
  searchedFrom: number;
  searchedTo: number;
  /** The end of a run of line ends that stops as it must. */
  newlinesTo: number;
}

/** Ids of a piece that starts where the walk stands, and the piece's length in UTF-16 units. */
interface Piece {
  readonly ids: Int32Array;
  readonly length: number;
}

/** More than most tokens stand for. */
const UNITS_A_TOKEN = 6;
const SMALLEST_PIECE = 4096;
/** How far beyond the wanted place a boundary is looked for. */
const SEARCH = 32768;
/** The window's length in longest tokens. */
const WINDOW = 5;
/** Units beyond the window that must continue its run: `\s+(?!\S)` gives one back. */
const BEYOND = 4;

/** Units asked for in one piece, at most. */
const LARGEST_PIECE = 1 << 18;
/** Windows that a walk over all of a text may tokenize: each costs its square. */
const WINDOWS_FOR_ALL = 100;
/** How long the event loop waits for a walk that answers from memory. */
const SLICE_MS = 3;

export function headIds(text: string, count: number, context: PartialContext): Promise<Int32Array> {
  return walk({ strand: fromStart(text), windowsLeft: Infinity }, count, context);
}

export function tailIds(text: string, count: number, context: PartialContext): Promise<Int32Array> {
  return walk({ strand: fromEnd(text), windowsLeft: Infinity }, count, context);
}

async function walk(
  start: Pick<Walk, 'strand' | 'windowsLeft'>,
  count: number,
  context: PartialContext,
): Promise<Int32Array> {
  const { strand } = start;
  const state: Walk = {
    ...context,
    ...start,
    remembered: new Map(),
    at: 0,
    searchedFrom: 0,
    searchedTo: 0,
    newlinesTo: 0,
  };
  const lists: Int32Array[] = [];
  let started = performance.now();
  for (let missing = count; missing > 0 && state.at < strand.length;) {
    context.checkAborted();
    const piece = await nextPiece(state, missing);
    lists.push(piece.ids);
    missing -= piece.ids.length;
    state.at += piece.length;
    if (performance.now() - started < SLICE_MS) continue;
    await new Promise(setImmediate);
    started = performance.now();
  }
  return strand.join(lists, count);
}

async function nextPiece(state: Walk, missing: number): Promise<Piece> {
  const wanted = state.at + Math.min(Math.max(SMALLEST_PIECE, missing * UNITS_A_TOKEN), LARGEST_PIECE);
  if (wanted + SEARCH >= state.strand.length) return pieceUpTo(state, state.strand.length);
  const boundary = findBoundary(state, wanted);
  if (boundary !== null) return pieceUpTo(state, boundary);
  const digits = state.facts.splitting === 'llama3' ? borderInDigits(state.strand, state.at) : null;
  if (digits !== null) return pieceUpTo(state, digits);
  return (await windowPiece(state)) ?? restPiece(state);
}

/** From its end a repetition is uncertain: how it is grouped depends on its length. From its start it is not. */
async function restPiece(state: Walk): Promise<Piece> {
  const { strand, at } = state;
  if (strand.farEnd === 'last') return pieceUpTo(state, strand.length);
  const rest = strand.slice(at, strand.length);
  const ids = await walk({ strand: fromStart(rest), windowsLeft: WINDOWS_FOR_ALL }, Infinity, state);
  return { ids, length: rest.length };
}

function isNewline(unit: number): boolean {
  return unit === 0x0a || unit === 0x0d;
}

async function pieceUpTo({ tokenizer, strand, at }: Walk, to: number): Promise<Piece> {
  const [ids = new Int32Array(0)] = await tokenizer.encode([strand.slice(at, to)]);
  return { ids, length: to - at };
}

/** The first boundary from `wanted` on, or the last one before it. */
function findBoundary(state: Walk, wanted: number): number | null {
  const { strand, facts } = state;
  const end = wanted + SEARCH;
  if (wanted > state.searchedTo) state.searchedFrom = wanted;
  for (let at = Math.max(wanted, state.searchedTo); at < end; at++) {
    if (strand.isBoundary(facts, at)) return at;
  }
  state.searchedTo = end;
  for (; state.searchedFrom > state.at + 1; state.searchedFrom--) {
    if (strand.isBoundary(facts, state.searchedFrom - 1)) return state.searchedFrom - 1;
  }
  return null;
}

/** null where no piece is certain. */
async function windowPiece(state: Walk): Promise<Piece | null> {
  const { strand, facts, at } = state;
  if (facts.splitting === 'unknown') return null;
  const isLetters = /^[A-Za-z]+$/.test(strand.slice(at, at + WINDOW * (facts.longestLetters + 2) + BEYOND));
  // Two more, as a place inside a surrogate pair is none.
  const reach = 2 + (isLetters ? facts.longestLetters : facts.longestToken);
  const window = strand.slice(at, at + WINDOW * reach + BEYOND);
  if (at + WINDOW * reach + BEYOND >= strand.length) return null;
  const known = state.remembered.get(window);
  if (known !== undefined) return known;
  if (state.windowsLeft-- <= 0) return null;
  if (facts.splitting === 'llama3' && !staysInOneMatch(state, window, 3 * reach + BEYOND)) return null;
  const piece = await certainPiece(state, reach);
  if (piece !== null) state.remembered.set(window, piece);
  return piece;
}

function staysInOneMatch(state: Walk, window: string, least: number): boolean {
  const { strand, facts } = state;
  const run = runAt(window, strand.farEnd);
  if (run === null || run.length < least || mayBreakCharacters(facts, window)) return false;
  return run.kind !== 'newline' || strand.farEnd === 'first' || endsCleanly(state, window.length);
}

/**
 * Whether a run of line ends that reaches `length` from here stops before anything but white space: otherwise what follows
 * joins its match, unless punctuation before it has taken it.
 */
function endsCleanly(state: Walk, length: number): boolean {
  const { strand, at } = state;
  if (at + length < state.newlinesTo) return true;
  let to = at + length;
  while (isNewline(strand.unitAt(to))) to++;
  if (/^\s$/.test(strand.slice(to, to + 1))) return false;
  state.newlinesTo = to;
  return true;
}

/**
 * The longest of some starts of the window on whose list all those that end in its last fifth agree. A fifth lies between
 * the two: what is left over at an end may be several tokens long.
 */
async function certainPiece({ strand, tokenizer, at }: Walk, reach: number): Promise<Piece | null> {
  const startsUpTo = async (last: number): Promise<readonly Piece[]> => {
    const lengths = Array.from({ length: reach }, (_, i) => last - reach + i + 1).filter(
      (length) => !strand.splitsCharacter(at + length),
    );
    const lists = await tokenizer.encode(lengths.map((length) => strand.slice(at, at + length)));
    return lists.map((ids, i) => ({ ids, length: lengths[i] ?? 0 }));
  };
  const ends = await startsUpTo(WINDOW * reach);
  const candidates = await startsUpTo((WINDOW - 2) * reach);
  return candidates.findLast(({ ids }) => ends.every((end) => strand.begins(end.ids, ids))) ?? null;
}
