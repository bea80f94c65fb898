/** Texts of pairs -> one model's token ids, pair by pair and in each pair orientation by orientation. */

import { throwIfAborted } from './abort';
import { PairscoreError } from './errors';
import type { OpenModel } from './model/open';
import type { Orientation, PairText } from './pair';
import { renderParts } from './prompt/pair-text';
import type { Signal } from './signal';

/** Pairs whose parts are rendered before the tokenizer is called: their texts exist twice only for so many. */
const PAIRS_A_CALL = 256;

export interface SequenceOptions {
  readonly orientations: readonly Orientation[];
  readonly signal?: Signal;
  /** Told how many pairs have been tokenized. */
  readonly onDone?: (pairs: number) => void;
  /** What an error message calls a pair. */
  readonly nameOf?: (pair: number) => string;
}

export async function tokenizePairs(
  model: Pick<OpenModel, 'spec' | 'tokenizer'>,
  texts: readonly PairText[],
  options: SequenceOptions,
): Promise<readonly Int32Array[]> {
  const sequences: Int32Array[] = [];
  const pairName = options.nameOf ?? ((pair: number): string => `pair ${pair + 1}`);
  for (let from = 0; from < texts.length; from += PAIRS_A_CALL) {
    throwIfAborted(options.signal);
    const some = texts.slice(from, from + PAIRS_A_CALL);
    const parts = some.flatMap((text) =>
      options.orientations.map((orientation) => renderParts(oriented(text, orientation), model.spec.template)),
    );
    const nameOf = (index: number): string => pairName(from + Math.floor(index / options.orientations.length));
    for (const ids of await model.tokenizer.tokenize(parts, options.signal, nameOf)) {
      if (ids.length === 0) throw emptySequence(model.spec.name);
      sequences.push(ids);
    }
    options.onDone?.(from + some.length);
  }
  return sequences;
}

/** Swapped before the template: the replies change places, the words around them stay. */
function oriented(text: PairText, orientation: Orientation): PairText {
  if (orientation === 'asGiven') return text;
  return { prompt: text.prompt, responseA: text.responseB, responseB: text.responseA };
}

function emptySequence(model: string): PairscoreError {
  return new PairscoreError('ERR_MODEL_MANIFEST', `Expected at least one token for model ${model} but received none`);
}
