/** Ids at one end of a single match of the expression, however long it is, without reading all of it. */

import { wholeUpTo } from './boundaries';
import { toByteLevel } from './byte-level';
import type { KnownEnd } from './certain';
import type { CertainIds, Merger } from './merger';
import type { Pace } from './pace';
import { periodEnd, periodStart, smallestPeriod } from './period';
import { joinIds } from './truncate';

export interface LongMatch {
  readonly text: string;
  readonly from: number;
  readonly to: number;
}

export interface MatchContext {
  readonly merger: Merger;
  readonly pace: Pace;
}

/** UTF-16 units that are read at a time. */
const STEP = 1 << 11;
/** A period that shows twice in a step. */
const LONGEST_PERIOD = STEP / 2;

/** At least `count` ids from the wanted end, or all of them. */
export async function matchIds(
  match: LongMatch & { readonly end: KnownEnd },
  count: number,
  context: MatchContext,
): Promise<Int32Array> {
  if (match.end === 'last') return joinIds((await listsFromEnd(match, count, context)).reverse());
  return joinIds(await listsFromStart({ ...match, known: '', behind: '' }, count, context));
}

/** Bytes that are known, a part of the text after them, and bytes behind it. */
interface Reading extends LongMatch {
  readonly known: string;
  readonly behind: string;
}

interface Step extends CertainIds {
  /** Where the text was read to, and lists that there were, when it was found. */
  readonly at: number;
  readonly lists: number;
}

async function listsFromStart(reading: Reading, count: number, { merger, pace }: MatchContext): Promise<Int32Array[]> {
  const { text, to, behind } = reading;
  const remembered = new Map<string, Step>();
  const lists: Int32Array[] = [];
  let { known, from: at } = reading;
  for (let missing = count; missing > 0;) {
    if (pace.isOver) await pace.turn();
    const before = at;
    at = wholeUpTo(text, Math.min(at + STEP, to));
    known += toByteLevel(text.slice(before, at));
    if (at >= to) return [...lists, await merger.merge(known + behind)];
    const step = remembered.get(known);
    const found = step ?? (await merger.certain(known, 'first'));
    if (found === null) continue;
    if (step) {
      const cycle = lists.slice(step.lists);
      const length = at - step.at;
      const left = Math.floor(((await periodEnd({ text, from: step.at, to, period: length }, pace)) - at) / length);
      const ids = cycle.reduce((sum, list) => sum + list.length, 0);
      for (let i = 0; i < left && missing > 0; i++, missing -= ids) lists.push(...cycle);
      at += Math.max(left, 0) * length;
      remembered.clear();
    } else remembered.set(known, { ...found, at, lists: lists.length });
    lists.push(found.ids);
    missing -= found.ids.length;
    known = known.slice(found.length);
  }
  return lists;
}

/** The last list first. */
async function listsFromEnd(match: LongMatch, count: number, context: MatchContext): Promise<Int32Array[]> {
  const { text, from, to } = match;
  const remembered = new Map<string, CertainIds>();
  const lists: Int32Array[] = [];
  let [known, at] = ['', to];
  for (let missing = count; missing > 0;) {
    if (context.pace.isOver) await context.pace.turn();
    const behind = at;
    at = Math.max(wholeUpTo(text, at - STEP), from);
    known = toByteLevel(text.slice(at, behind)) + known;
    if (at <= from) return [...lists, await context.merger.merge(known)];
    const found = remembered.get(known) ?? (await context.merger.certain(known, 'last'));
    if (found !== null) {
      remembered.set(known, found);
      lists.push(found.ids);
      missing -= found.ids.length;
      known = known.slice(0, known.length - found.length);
      continue;
    }
    const repeated = await listsOfRepetition({ text, from, to: at, known: '', behind: known }, context);
    if (repeated === null) continue;
    lists.push(...repeated.lists.reverse());
    missing -= repeated.lists.reduce((sum, list) => sum + list.length, 0);
    ({ known, at } = repeated);
    if (at <= from && known === '') break;
  }
  return lists;
}

interface Repeated {
  readonly lists: Int32Array[];
  readonly known: string;
  readonly at: number;
}

/**
 * From its end a repetition is uncertain, as how it is grouped depends on its length. So it is read from a border at its
 * start. Any place is one where, whichever token ends before it, what ends there may stand beside what begins there.
 */
async function listsOfRepetition(reading: Reading, context: MatchContext): Promise<Repeated | null> {
  const { text, from, to, behind } = reading;
  const period = smallestPeriod(text.slice(to, to + STEP));
  if (period > LONGEST_PERIOD) return null;
  const start = await periodStart({ text, from, to, period }, context.pace);
  const left = wholeUpTo(text, start - STEP);
  if (left <= from) return { lists: await listsFromStart(reading, Infinity, context), known: '', at: from };
  const right = wholeUpTo(text, Math.min(start + STEP, to));
  const around = toByteLevel(text.slice(left, right));
  const found = await context.merger.certain(around, 'last');
  if (found === null) return null;
  const [before, after] = [around.slice(0, -found.length), around.slice(-found.length)];
  const lists = await listsFromStart({ text, from: right, to, known: after, behind }, Infinity, context);
  return lists[0]?.[0] === found.ids[0] ? { lists, known: before, at: left } : null;
}
