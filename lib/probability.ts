/** Logits -> probabilities -> their weighted mean. All in f64. */

import { PairscoreError } from './errors';
import type { Label } from './model/spec';
import type { Orientation, Preference } from './pair';

/** exp(x - max) over its sum: no logit is too large. Throws ERR_MODEL_VALUES for one that is not finite. */
export function softmax(logits: ArrayLike<number>): readonly number[] {
  const values = Array.from(logits);
  const strange = values.find((value) => !Number.isFinite(value));
  if (strange !== undefined) {
    throw new PairscoreError('ERR_MODEL_VALUES', `Expected finite logits but received ${strange}`);
  }
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** Logits in the head's order to named probabilities; a label that the head lacks gets 0. */
export function toPreference(logits: ArrayLike<number>, labels: readonly Label[]): Preference {
  if (logits.length !== labels.length) {
    throw new PairscoreError('ERR_INTERNAL', `Expected ${labels.length} logits but received ${logits.length}`);
  }
  const probabilities = softmax(logits);
  const of = (label: Label): number => probabilities[labels.indexOf(label)] ?? 0;
  return { winnerModelA: of('winner_model_a'), winnerModelB: of('winner_model_b'), winnerTie: of('winner_tie') };
}

/** What the preference says of the pair with A and B swapped. */
export function swapped(preference: Preference): Preference {
  return {
    winnerModelA: preference.winnerModelB,
    winnerModelB: preference.winnerModelA,
    winnerTie: preference.winnerTie,
  };
}

/** Weights: finite, none negative, not all zero. */
export function weightedMean(preferences: readonly Preference[], weights: readonly number[]): Preference {
  const total = weights.reduce((a, b) => a + b, 0);
  const fits = preferences.length === weights.length && Number.isFinite(total) && total > 0;
  if (!fits || weights.some((weight) => !(weight >= 0))) {
    const received = `${weights.join(', ')} for ${preferences.length} models`;
    throw new PairscoreError(
      'ERR_INTERNAL',
      `Expected a weight >= 0 for each model, not all 0, but received ${received}`,
    );
  }
  const of = (pick: (preference: Preference) => number): number =>
    preferences.reduce((sum, preference, i) => sum + pick(preference) * (weights[i] ?? 0), 0) / total;
  return {
    winnerModelA: of((preference) => preference.winnerModelA),
    winnerModelB: of((preference) => preference.winnerModelB),
    winnerTie: of((preference) => preference.winnerTie),
  };
}

export const UNIFORM: Preference = Object.freeze({ winnerModelA: 1 / 3, winnerModelB: 1 / 3, winnerTie: 1 / 3 });

/** What a mean needs to know of a model. */
export interface Voter {
  readonly name: string;
  readonly labels: readonly Label[];
  readonly weight: number;
}

/** One pair's logits, model by model and in each model orientation by orientation, to the ensemble's answer. */
export function combineAnswers(
  logits: readonly ArrayLike<number>[],
  voters: readonly Voter[],
  orientations: readonly Orientation[],
): Preference {
  const opinions = voters.map(({ name, labels }, model) => {
    const views = orientations.map((orientation, i) => {
      const view = toPreference(finite(logits[model * orientations.length + i] ?? [], name), labels);
      return orientation === 'swapped' ? swapped(view) : view;
    });
    return weightedMean(
      views,
      views.map(() => 1),
    );
  });
  return weightedMean(
    opinions,
    voters.map(({ weight }) => weight),
  );
}

/** A row that a model has no answer for is nobody's answer. */
function finite(logits: ArrayLike<number>, model: string): ArrayLike<number> {
  const strange = Array.from(logits).find((value) => !Number.isFinite(value));
  if (strange === undefined) return logits;
  const text = `Expected finite logits of model ${model} but received ${strange}: an activation left its type's range`;
  throw new PairscoreError('ERR_MODEL_VALUES', text);
}
