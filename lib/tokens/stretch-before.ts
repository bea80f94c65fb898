/** Stretches on the way to the start of a text. */

import { clearEndsAt, straddling } from './added';
import { isBoundary, wholeUpTo, type BoundaryFacts } from './boundaries';
import { classOf, type CharacterClass } from './classes';
import { matchesOf } from './expression';
import { classAt, classBefore, runEnd, runStart, startBefore, type Classes } from './runs';
import {
  BLANKS,
  DIGITS,
  LETTERS,
  LINES,
  LONG,
  LOOK,
  MARKS,
  SPACES,
  followsBlank,
  holdsAdded,
  isSure,
  tokenLength,
  type Place,
  type Stretch,
} from './stretch';

/** UTF-16 units that the start of a long match may depend on. */
const BEFORE = 4096;
/** Units of one class that stand for more. */
const UNIFORM = 64;

/** What precedes `at`, or null where nothing is certain. */
export async function stretchBefore(place: Place): Promise<Stretch | null> {
  const { facts, text, at } = place;
  const from = wholeUpTo(text, Math.max(at - LOOK, 0));
  if (!isSure(facts, text.slice(from, at))) return null;
  const run = longRun(text, from, at);
  if (run === null || (run.end < at && holdsAdded(facts, text.slice(Math.max(run.end - facts.added.longest, 0), at)))) {
    return null;
  }
  if (run.kind === 'digit') return run.end === at ? digitsBefore(place) : null;
  if (run.kind === 'letter') return run.end === at ? matchBefore(place, LETTERS) : null;
  return run.kind === 'mark' ? marksBefore(place, run.end) : blanksBefore(place, run);
}

interface Run {
  readonly kind: CharacterClass;
  readonly begin: number;
  readonly end: number;
}

/** The last long run between two places, as far as it lies between them. Spaces and line ends are of one kind. */
function longRun(text: string, from: number, to: number): Run | null {
  const kindOf = (at: number): CharacterClass => {
    const found = classAt(text, at) ?? 'unsure';
    return found === 'newline' ? 'space' : found;
  };
  for (let end = to; end > from;) {
    const kind = kindOf(startBefore(text, end));
    let begin = end;
    while (begin > from && kindOf(startBefore(text, begin)) === kind) begin = startBefore(text, begin);
    if (end - begin >= LONG) return { kind, begin, end };
    end = begin;
  }
  return null;
}

async function digitsBefore({ text, at, wanted, pace }: Place): Promise<Stretch | null> {
  const start = await runStart(text, at, DIGITS, pace);
  if (classBefore(text, start) === 'unsure') return null;
  let from = start;
  while (from < at - 3 * wanted) {
    for (let i = 0; i < 3; i++) from += (text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1;
    if (pace.isOver) await pace.turn();
  }
  if (from === start && classBefore(text, start) === 'space') from -= 1;
  return { from, to: at, kind: 'text' };
}

/** Punctuation takes the line ends that follow it, and letters do not join two marks. */
async function marksBefore(place: Place, end: number): Promise<Stretch | null> {
  const { text, at, pace } = place;
  const lines = await runEnd(text, end, LINES, pace);
  if (lines > at) return null;
  return lines < at ? { from: lines, to: at, kind: 'text' } : matchBefore(place, MARKS, end);
}

async function blanksBefore(place: Place, { begin, end }: Run): Promise<Stretch | null> {
  const { facts, text, at, pace } = place;
  const spaces = Math.max(await runStart(text, end, SPACES, pace), begin);
  if (spaces > begin) {
    // Behind the last line end.
    if (spaces < at) return { from: spaces, to: at, kind: 'text' };
    const start = await runStart(text, at, BLANKS, pace);
    const before = classBefore(text, start);
    if (before === 'unsure' || straddling(facts.added, text, start) !== null) return null;
    const isTaken = before === 'mark' && !clearEndsAt(facts.added, text, start);
    const from = isTaken ? await runEnd(text, start, LINES, pace) : start;
    return from < at ? { from, to: at, kind: 'match' } : matchBefore(place, MARKS, start);
  }
  // Spaces alone: the last one joins what follows.
  if (end < at) return { from: end - 1, to: at, kind: 'text' };
  const start = await runStart(text, at, SPACES, pace);
  if (classBefore(text, start) === 'unsure' || straddling(facts.added, text, start) !== null) return null;
  return { from: start, to: at, kind: 'match' };
}

/** The match that ends at the place and mostly consists of the run that ends at `end`. */
async function matchBefore(place: Place, classes: Classes, end = place.at): Promise<Stretch | null> {
  const { facts, text, at, pace } = place;
  const start = await runStart(text, end, classes, pace);
  const covered = straddling(facts.added, text, start);
  if (covered !== null) {
    if (!facts.added.clear.includes(text.slice(covered.begin, covered.end))) return null;
    return { from: covered.end, to: at, kind: 'match' };
  }
  const from = startBeforeRun(facts, text, start);
  if (from === null) return null;
  return followsBlank(text, from)
    ? { from: from - 1, to: at, kind: 'blank and match' }
    : { from, to: at, kind: 'match' };
}

/** Where the match begins that a long run, which begins at `start`, lies in. */
function startBeforeRun(facts: BoundaryFacts, text: string, start: number): number | null {
  if (clearEndsAt(facts.added, text, start)) return start;
  const from = boundaryBefore(facts, text, start);
  if (from === null || from > start) return null;
  const local = text.slice(from, wholeUpTo(text, start + UNIFORM));
  if (!isSure(facts, local) || holdsAdded(facts, local)) return null;
  for (const { begin, end } of matchesOf(local)) {
    if (from + end <= start) continue;
    return end < local.length ? from + end : from + begin;
  }
  return null;
}

/** A place at or before `start` from which the expression finds the matches around it. */
function boundaryBefore(facts: BoundaryFacts, text: string, start: number): number | null {
  const least = Math.max(start - BEFORE, 0);
  for (let at = start; at > least; at--) {
    if (isBoundary(facts, text, at)) return at + tokenLength({ facts, text, at });
  }
  if (least === 0) return 0;
  // From the middle of white space or of punctuation it goes on as from its start.
  const before = Array.from(text.slice(wholeUpTo(text, start - UNIFORM), start), (one) =>
    classOf(one.codePointAt(0) ?? 0),
  );
  const isUniform = before.every((one) => one === 'mark') || before.every((one) => BLANKS.has(one));
  return isUniform ? wholeUpTo(text, start - UNIFORM) : null;
}
