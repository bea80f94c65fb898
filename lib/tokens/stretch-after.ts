/** Stretches on the way to the end of a text. */

import { clearBeginsAt, straddling } from './added';
import { wholeUpTo, type BoundaryFacts } from './boundaries';
import { classOf } from './classes';
import { matchesOf } from './expression';
import { classAt, classBefore, runEnd, runStart } from './runs';
import {
  BLANKS,
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

/** What follows `at`, or null where nothing is certain. */
export async function stretchAfter(place: Place): Promise<Stretch | null> {
  const { facts, text, at } = place;
  const ahead = text.slice(at, wholeUpTo(text, at + LOOK));
  if (!isSure(facts, ahead)) return null;
  if (clearBeginsAt(facts.added, text, at)) return { from: at, to: at + tokenLength(place), kind: 'text' };
  const blank = trailingBlanks(ahead);
  let cut = 0;
  for (const match of matchesOf(ahead)) {
    const { begin } = match;
    // Line ends beyond what is looked at would join a match of white space that ends here.
    const end = begin < blank ? match.end : ahead.length;
    if (begin > 0 && classBefore(ahead, begin) === 'digit' && end + 3 < ahead.length) cut = begin;
    if (end - begin < LONG) continue;
    if (holdsAdded(facts, text.slice(at, at + begin + facts.added.longest))) return null;
    const blanks = begin > 1 && followsBlank(ahead, begin) ? 1 : 0;
    if (begin > 0) return { from: at, to: at + begin - blanks, kind: 'text' };
    const to = await matchEnd(place, at + end);
    return to === null ? null : { from: at, to, kind: 'match' };
  }
  return cut === 0 || holdsAdded(facts, ahead) ? null : { from: at, to: at + cut, kind: 'text' };
}

function trailingBlanks(text: string): number {
  let from = text.length;
  while (from > 0 && BLANKS.has(classOf(text.charCodeAt(from - 1)))) from--;
  return from;
}

/** The true end of a match that begins at the place and that goes on at least to `reached`, or null. */
async function matchEnd(place: Place, reached: number): Promise<number | null> {
  const { facts, text, at, pace } = place;
  const last = classBefore(text, reached);
  if (last === 'letter') return uncovered(facts, text, await runEnd(text, reached, LETTERS, pace));
  if (beginsMarks(text, at)) {
    const marks = last === 'mark' ? await runEnd(text, reached, MARKS, pace) : reached;
    return uncovered(facts, text, await runEnd(text, marks, LINES, pace));
  }
  const end = await runEnd(text, at, BLANKS, pace);
  const lines = await runStart(text, end, SPACES, pace);
  if (lines > at) return uncovered(facts, text, lines);
  return uncovered(facts, text, end === text.length || clearBeginsAt(facts.added, text, end) ? end : end - 1);
}

function beginsMarks(text: string, at: number): boolean {
  return classAt(text, text.startsWith(' ', at) ? at + 1 : at) === 'mark';
}

/** The end of a run, or of what an added token that begins in it leaves of it. */
function uncovered({ added }: BoundaryFacts, text: string, end: number): number | null {
  if (classAt(text, end) === 'unsure') return null;
  const token = straddling(added, text, end);
  if (token === null) return end;
  return added.clear.includes(text.slice(token.begin, token.end)) ? token.begin : null;
}
