import type { PairText } from '../pair';

export const ID_COLUMN = 'id';

/** Where each part of a pair stands in a file. */
export const PART_COLUMNS: Readonly<Record<keyof PairText, string>> = {
  prompt: 'prompt',
  responseA: 'response_a',
  responseB: 'response_b',
};

export const INPUT_COLUMNS: readonly string[] = [ID_COLUMN, ...Object.values(PART_COLUMNS)];

export const SUBMISSION_HEADER = 'id,winner_model_a,winner_model_b,winner_tie';

/** The column of a part (`responseA` -> `response_a`); any other name is returned as it is. */
export function columnOfPart(part: string): string {
  const found = Object.entries(PART_COLUMNS).find(([name]) => name === part);
  return found === undefined ? part : found[1];
}
