/** The scorer behind the module's own scorePair: opened by the first call, closed with the process. */

import { orAborted, throwIfAborted } from './abort';
import type { Pair, Preference } from './pair';
import { openScorer, type ScoreOptions, type Scorer } from './scorer';
import { checkSignal } from './settings';
import type { Signal } from './signal';

/** Shared by all calls that wait for it. */
interface Opening {
  readonly scorer: Promise<Scorer>;
  readonly stop: AbortController;
  isOpen: boolean;
  waiting: number;
}

let opening: Opening | undefined;

/** Scores with the ensemble that PAIRSCORE_ENSEMBLE names, or the bundled demo. */
export async function scorePair(pair: Pair, options: ScoreOptions = {}): Promise<Preference> {
  const signal = checkSignal(options.signal);
  throwIfAborted(signal);
  opening ??= openDefault();
  const scorer = await wait(opening, signal);
  return scorer.scorePair(pair, options);
}

/** One that gives up leaves the others waiting; the last one ends the opening. */
async function wait(shared: Opening, signal: Signal | undefined): Promise<Scorer> {
  shared.waiting += 1;
  try {
    return await orAborted(shared.scorer, signal);
  } finally {
    shared.waiting -= 1;
    if (shared.waiting === 0 && !shared.isOpen) giveUp(shared);
  }
}

function giveUp(shared: Opening): void {
  forget(shared);
  shared.stop.abort();
  // It may have been open by then.
  shared.scorer.then((scorer) => scorer.close()).catch(() => undefined);
}

/** The next call tries again: a path may have been wrong only for now. */
function forget(shared: Opening): void {
  if (opening === shared) opening = undefined;
}

/** Nothing here keeps the process alive: an idle engine holds no handle of the event loop. */
function openDefault(): Opening {
  const ensemble = process.env['PAIRSCORE_ENSEMBLE'];
  const stop = new AbortController();
  const { signal } = stop;
  const scorer = openScorer(ensemble ? { ensemble, signal } : { signal });
  const shared: Opening = { scorer, stop, isOpen: false, waiting: 0 };
  scorer.then(
    () => (shared.isOpen = true),
    () => forget(shared),
  );
  return shared;
}
