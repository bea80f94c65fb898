/** Parts of rows -> final ids: which texts are tokenized, what is cut, what stands around it. */

import type { Truncation } from '../model/spec';
import type { SurroundingTokens } from './post-processor';
import { COUNTED_BUDGETS, joinIds, proportionalShares, roomFor, surround, type Keep } from './truncate';

export type Parts = readonly [string, string, string];

/** A text, and how many of its ids are kept. */
export interface CutText {
  readonly text: string;
  readonly keep: Keep;
  readonly budget: number;
}

export interface CutTokenizer {
  encode(texts: readonly CutText[]): Promise<readonly Int32Array[]>;
}

export interface RowRules {
  readonly surrounding: SurroundingTokens;
  /** Special tokens counted. */
  readonly maxLength: number;
  readonly truncation: Truncation;
  /** 'apart': each part is a sequence of its own, special tokens and all, with a third of maxLength. */
  readonly parts: 'together' | 'apart';
}

/** Special tokens around a row have room: throws ERR_CONFIG otherwise. */
export function checkRules(rules: RowRules): void {
  roomFor(sequenceLength(rules), rules.surrounding);
}

export async function encodeRows(
  rows: readonly Parts[],
  rules: RowRules,
  tokenizer: CutTokenizer,
): Promise<readonly Int32Array[]> {
  if (rules.parts === 'apart') return encodeApart(rows, rules, tokenizer);
  const room = roomFor(rules.maxLength, rules.surrounding);
  const kept =
    rules.truncation === 'proportional'
      ? await encodeProportional(rows, room, tokenizer)
      : await tokenizer.encode(rows.map((row) => cut(row.join(''), rules, room)));
  return kept.map((ids) => surround(ids, rules.surrounding));
}

function cut(text: string, { truncation }: RowRules, budget: number): CutText {
  return { text, keep: truncation === 'proportional' ? 'right' : truncation, budget };
}

function sequenceLength({ parts, maxLength }: RowRules): number {
  return parts === 'apart' ? Math.floor(maxLength / 3) : maxLength;
}

async function encodeApart(
  rows: readonly Parts[],
  rules: RowRules,
  tokenizer: CutTokenizer,
): Promise<readonly Int32Array[]> {
  const room = roomFor(sequenceLength(rules), rules.surrounding);
  const lists = await tokenizer.encode(rows.flatMap((row) => row.map((part) => cut(part, rules, room))));
  const sequences = lists.map((ids) => surround(ids, rules.surrounding));
  return rows.map((_, i) => joinIds(sequences.slice(i * 3, i * 3 + 3)));
}

/**
 * A row that fits is tokenized as one text. One that does not is tokenized part by part, and every part keeps its first
 * ids, as many as its share of the room: so the ids where two parts meet may differ from those of the whole text.
 */
async function encodeProportional(
  rows: readonly Parts[],
  room: number,
  tokenizer: CutTokenizer,
): Promise<readonly Int32Array[]> {
  const whole = await tokenizer.encode(rows.map((row) => ({ text: row.join(''), keep: 'right', budget: room + 1 })));
  const long = rows.filter((_, i) => (whole[i]?.length ?? 0) > room);
  const parts = await tokenizer.encode(
    long.flatMap((row) => row.map((text) => ({ text, keep: 'right' as const, budget: COUNTED_BUDGETS * room }))),
  );
  let next = 0;
  return whole.map((ids) => {
    if (ids.length <= room) return ids;
    const lists = parts.slice(next, (next += 3));
    const shares = proportionalShares(
      lists.map((list) => list.length),
      room,
    );
    return joinIds(lists.map((list, i) => list.subarray(0, shares[i])));
  });
}
