/** A TextTokenizer that is called with a bounded amount of text at a time, and that only sees what can be kept. */

import type { BoundaryFacts } from './boundaries';
import { inChunks } from './chunks';
import type { Merger } from './merger';
import { headIds, tailIds, type PartialContext } from './partial';
import type { CutText, CutTokenizer } from './rows';
import type { TextTokenizer } from './text-tokenizer';
import { headCount, joinIds, truncate } from './truncate';

/** UTF-16 units in one call: what the event loop converts and a signal must wait for. */
const UNITS_A_CALL = 1 << 19;
/** Longer texts are walked from their ends. */
const LONG_TEXT = 1 << 16;

export interface CutTokenizerOptions {
  readonly tokenizer: TextTokenizer;
  readonly facts: BoundaryFacts;
  readonly merger: Merger;
  /** Called between two calls of the tokenizer; throws to stop. */
  readonly checkAborted: () => void;
}

export function cutTokenizer(options: CutTokenizerOptions): CutTokenizer {
  const context: PartialContext = { ...options, tokenizer: chunked(options) };
  return {
    async encode(texts) {
      const short = texts.filter(({ text }) => text.length <= LONG_TEXT);
      const lists = await context.tokenizer.encode(short.map(({ text }) => text));
      let next = 0;
      const results: Int32Array[] = [];
      for (const cut of texts) {
        const ids = cut.text.length <= LONG_TEXT ? lists[next++] : await encodeLong(cut, context);
        results.push(truncate(ids ?? new Int32Array(0), cut.keep, cut.budget));
      }
      return results;
    },
  };
}

function chunked({ tokenizer, checkAborted }: CutTokenizerOptions): TextTokenizer {
  return {
    async encode(texts) {
      const lists: Int32Array[] = [];
      for (const chunk of inChunks(texts, UNITS_A_CALL)) {
        checkAborted();
        for (const ids of await tokenizer.encode(chunk)) lists.push(ids);
      }
      return lists;
    },
  };
}

async function encodeLong({ text, keep, budget }: CutText, context: PartialContext): Promise<Int32Array> {
  if (keep === 'left') return tailIds(text, budget, context);
  if (keep === 'right') return headIds(text, budget, context);
  // One id more than fits says that the middle goes.
  const head = await headIds(text, budget + 1, context);
  if (head.length <= budget) return head;
  const first = headCount(keep, budget);
  return joinIds([head.subarray(0, first), await tailIds(text, budget - first, context)]);
}
