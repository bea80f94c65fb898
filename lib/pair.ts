/** The nouns: what goes in, what comes out. */

/** A text of one or several turns. `null` stands for a missing reply. */
export type Turns = string | readonly (string | null)[];

/** One prompt and the two replies to compare. */
export interface Pair {
  readonly prompt: Turns;
  readonly responseA: Turns;
  readonly responseB: Turns;
}

/** Probabilities; they sum to 1. */
export interface Preference {
  readonly winnerModelA: number;
  readonly winnerModelB: number;
  readonly winnerTie: number;
}

/** The three texts of a pair as a model reads them: parsed, joined, not yet in a template. */
export interface PairText {
  readonly prompt: string;
  readonly responseA: string;
  readonly responseB: string;
}

/** Which reply stands first in the text that a model reads. */
export type Orientation = 'asGiven' | 'swapped';

/** One row of a file: the cells as they stand there, still to be parsed the way each model was trained. */
export interface PairRecord {
  readonly id: string;
  /** 1-based record number, the header not counted. */
  readonly row: number;
  readonly cells: PairText;
}
