/** The scorer behind the module's own scorePair: opened by the first call, closed with the process. */

import type { Pair, Preference } from './pair';
import { openScorer, type ScoreOptions, type Scorer } from './scorer';

let opening: Promise<Scorer> | undefined;

/** Scores with the ensemble that PAIRSCORE_ENSEMBLE names, or the bundled demo. */
export async function scorePair(pair: Pair, options: ScoreOptions = {}): Promise<Preference> {
  opening ??= openDefault();
  const scorer = await opening;
  return scorer.scorePair(pair, options);
}

/** Nothing here keeps the process alive: an idle engine holds no handle of the event loop. */
async function openDefault(): Promise<Scorer> {
  const ensemble = process.env['PAIRSCORE_ENSEMBLE'];
  try {
    return await openScorer(ensemble ? { ensemble } : {});
  } catch (error) {
    // The next call tries again: a path may have been wrong only for now.
    opening = undefined;
    throw error;
  }
}
