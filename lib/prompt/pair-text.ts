import { hasErrorCode, PairscoreError } from '../errors';
import type { ModelSpec, Template } from '../model/spec';
import type { Pair, PairText } from '../pair';
import { parseCell } from './cell';
import { joinTurns, type JoinSpec } from './turns';

/** The texts of a pair given as turns. */
export function pairTextFromPair(pair: Pair, spec: JoinSpec): PairText {
  return {
    prompt: joinTurns(pair.prompt, spec),
    responseA: joinTurns(pair.responseA, spec),
    responseB: joinTurns(pair.responseB, spec),
  };
}

/** The texts of a row's cells. Throws ERR_INPUT_CELL whose place.column names the part (`responseA`). */
export function pairTextFromCells(cells: PairText, spec: JoinSpec & Pick<ModelSpec, 'parser'>): PairText {
  return {
    prompt: textOfPart(cells, 'prompt', spec),
    responseA: textOfPart(cells, 'responseA', spec),
    responseB: textOfPart(cells, 'responseB', spec),
  };
}

function textOfPart(cells: PairText, part: keyof PairText, spec: JoinSpec & Pick<ModelSpec, 'parser'>): string {
  try {
    return joinTurns(parseCell(cells[part], spec.parser), spec);
  } catch (error) {
    if (!hasErrorCode(error)) throw error;
    throw new PairscoreError(error.code, error.message, { column: part, cause: error });
  }
}

/** Each part behind its literal prefix; one behind the other they are the whole text. */
export function renderParts(text: PairText, template: Template): readonly [string, string, string] {
  return [template.prompt + text.prompt, template.responseA + text.responseA, template.responseB + text.responseB];
}
