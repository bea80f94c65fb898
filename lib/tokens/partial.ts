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
 *
 * 3. Under 'llama3' the expression splits first. Where it ends no match for certain, the next few matches are found
 *    (stretch.ts), and of one of any length the ids at its near end (match-ids.ts, certain.ts).
 *
 * 4. Where none of this applies, all the rest is tokenized: under 'unknown', or where a long match holds characters
 *    that engines take for different things.
 */

import type { BoundaryFacts } from './boundaries';
import { matchIds } from './match-ids';
import type { Merger } from './merger';
import { Pace } from './pace';
import { periodEnd } from './period';
import { fromEnd, fromStart, type Strand } from './strand';
import type { Place } from './stretch';
import { stretchAfter } from './stretch-after';
import { stretchBefore } from './stretch-before';
import type { TextTokenizer } from './text-tokenizer';
import { joinIds } from './truncate';

export interface PartialContext {
  readonly tokenizer: TextTokenizer;
  readonly facts: BoundaryFacts;
  readonly merger: Merger;
  readonly checkAborted: () => void;
}

interface Walk extends PartialContext {
  readonly strand: Strand;
  readonly remembered: Map<string, Remembered>;
  readonly lists: Int32Array[];
  windowsLeft: number;
  at: number;
  /** No boundary lies from here to `searchedTo`. */
  searchedFrom: number;
  searchedTo: number;
  readonly pace: Pace;
}

/** Ids of a piece that starts where the walk stands, and the piece's length in UTF-16 units. */
interface Piece {
  readonly ids: Int32Array;
  readonly length: number;
}

/** The piece of a window, where it was met first, and how many lists there were. */
interface Remembered {
  readonly piece: Piece;
  readonly at: number;
  readonly lists: number;
}

/** More than most tokens stand for. */
const UNITS_A_TOKEN = 6;
const SMALLEST_PIECE = 4096;
/** How far beyond the wanted place a boundary is looked for. */
const SEARCH = 32768;
/** The window's length in longest tokens. */
const WINDOW = 5;

/** Units asked for in one piece, at most. */
const LARGEST_PIECE = 1 << 18;
/** Windows that a walk over all of a text may tokenize: each costs its square. */
const WINDOWS_FOR_ALL = 100;

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
    lists: [],
    at: 0,
    searchedFrom: 0,
    searchedTo: 0,
    pace: new Pace(),
  };
  const { lists } = state;
  for (let missing = count; missing > 0 && state.at < strand.length;) {
    context.checkAborted();
    const piece = await nextPiece(state, missing);
    lists.push(piece.ids);
    missing -= piece.ids.length;
    state.at += piece.length;
    if (state.pace.isOver) await state.pace.turn();
  }
  return strand.join(lists, count);
}

async function nextPiece(state: Walk, missing: number): Promise<Piece> {
  const wanted = state.at + Math.min(Math.max(SMALLEST_PIECE, missing * UNITS_A_TOKEN), LARGEST_PIECE);
  if (wanted + SEARCH >= state.strand.length) return pieceUpTo(state, state.strand.length);
  const boundary = findBoundary(state, wanted);
  if (boundary !== null) return pieceUpTo(state, boundary);
  const piece =
    state.facts.splitting === 'llama3' ? await stretchPiece(state, missing) : await windowPiece(state, missing);
  return piece ?? restPiece(state);
}

async function stretchPiece(state: Walk, missing: number): Promise<Piece | null> {
  const { strand, facts, pace } = state;
  const { text } = strand;
  const wanted = Math.max(SMALLEST_PIECE, missing);
  const place: Place = { facts, text, at: strand.toText(state.at), wanted, pace };
  const end = strand.farEnd === 'last' ? 'first' : 'last';
  const stretch = end === 'first' ? await stretchAfter(place) : await stretchBefore(place);
  if (stretch === null) return null;
  const length = stretch.to - stretch.from;
  if (stretch.kind === 'text') return pieceUpTo(state, state.at + length);
  if (stretch.kind === 'match') return { ids: await matchIds({ ...stretch, text, end }, missing, state), length };
  const from = stretch.from + 1;
  const lists = await state.tokenizer.encode([text.slice(stretch.from, from)]);
  return { ids: joinIds([...lists, await matchIds({ ...stretch, from, text, end }, missing, state)]), length };
}

/** From its end a repetition is uncertain: how it is grouped depends on its length. From its start it is not. */
async function restPiece(state: Walk): Promise<Piece> {
  const { strand, at } = state;
  if (strand.farEnd === 'last') return pieceUpTo(state, strand.length);
  const rest = strand.slice(at, strand.length);
  const ids = await walk({ strand: fromStart(rest), windowsLeft: WINDOWS_FOR_ALL }, Infinity, state);
  return { ids, length: rest.length };
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
async function windowPiece(state: Walk, missing: number): Promise<Piece | null> {
  const { strand, facts, at } = state;
  if (facts.splitting !== 'whole') return null;
  const isLetters = /^[A-Za-z]+$/.test(strand.slice(at, at + WINDOW * (facts.longestLetters + 2)));
  // Two more, as a place inside a surrogate pair is none.
  const reach = 2 + (isLetters ? facts.longestLetters : facts.longestToken);
  const window = strand.slice(at, at + WINDOW * reach);
  if (at + WINDOW * reach >= strand.length) return null;
  const known = state.remembered.get(window);
  if (known !== undefined) return (await repetition(state, { ...known, window }, missing)) ?? known.piece;
  if (state.windowsLeft-- <= 0) return null;
  const piece = await certainPiece(state, reach);
  if (piece !== null) state.remembered.set(window, { piece, at, lists: state.lists.length });
  return piece;
}

/** As often as what was read since a window was met first follows once more, its ids follow too. */
async function repetition(
  { strand, lists, at, pace, remembered }: Walk,
  known: Remembered & { readonly window: string },
  missing: number,
): Promise<Piece | null> {
  if (strand.farEnd === 'first') return null;
  const period = at - known.at;
  const end = await periodEnd({ text: strand.text, from: known.at, to: strand.length, period }, pace);
  const cycle = joinIds(lists.slice(known.lists));
  const times = Math.min(Math.floor((end - known.window.length - at) / period), Math.ceil(missing / cycle.length));
  if (times < 1) return null;
  remembered.delete(known.window);
  const ids = new Int32Array(times * cycle.length);
  for (let i = 0; i < times; i++) ids.set(cycle, i * cycle.length);
  return { ids, length: times * period };
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
