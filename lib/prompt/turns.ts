import type { ModelSpec } from '../model/spec';
import type { Turns } from '../pair';
import { SURROGATE_TEXT } from './python-escape';

export type JoinSpec = Pick<ModelSpec, 'nullText' | 'joiner'>;

// With the u flag a surrogate that belongs to a pair is no match.
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** One text from all turns. Every lone surrogate becomes three U+FFFD, as the models' own tokenizers had it. */
export function joinTurns(turns: Turns, spec: JoinSpec): string {
  if (typeof turns === 'string') return withoutSurrogates(turns);
  return turns.map((turn) => withoutSurrogates(turn ?? spec.nullText)).join(spec.joiner);
}

function withoutSurrogates(text: string): string {
  // The question is answered several times faster than the expression looks.
  return text.isWellFormed() ? text : text.replace(LONE_SURROGATE, SURROGATE_TEXT);
}
