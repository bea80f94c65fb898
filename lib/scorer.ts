/** The order of the stages: pair -> text -> token ids -> batches -> logits -> probabilities. */

import type { DryRun, ModelReport, RecordsOptions, RecordsOutcome } from './outcome';
import type { Pair, PairRecord, Preference } from './pair';
import { PairscoreError } from './errors';
import { checkOptions, type ScorerOptions, type Settings } from './settings';

export interface ScoreOptions {
  readonly signal?: AbortSignal;
}

/** Opens every model of an ensemble. Rejects, holding nothing, where one of them cannot be opened. */
export async function openScorer(options: ScorerOptions = {}): Promise<Scorer> {
  return new Scorer(checkOptions(options));
}

/** An open ensemble. close() it, or `await using` it. */
export class Scorer implements AsyncDisposable {
  private readonly settings: Settings;

  /** Use openScorer. */
  constructor(settings: Settings) {
    this.settings = settings;
  }

  /** What was loaded, in the ensemble's order. */
  get models(): readonly ModelReport[] {
    throw this.unfinished();
  }

  /** Calls made while the engines are busy are scored together. */
  async scorePair(_pair: Pair, _options: ScoreOptions = {}): Promise<Preference> {
    throw this.unfinished();
  }

  /** Yields in the source's order, and takes at most `lookAhead` pairs ahead. */
  scorePairs(_pairs: Iterable<Pair> | AsyncIterable<Pair>, _options: ScoreOptions = {}): AsyncIterable<Preference> {
    throw this.unfinished();
  }

  /** Scores all rows of a file, the longest first, each model with its own parser. */
  async scoreRecords(_records: readonly PairRecord[], _options: RecordsOptions = {}): Promise<RecordsOutcome> {
    throw this.unfinished();
  }

  /** Parses and tokenizes as scoreRecords would, and says what the engines would get. */
  async plan(_records: readonly PairRecord[], _options: RecordsOptions = {}): Promise<DryRun> {
    throw this.unfinished();
  }

  /** Refuses new work, waits for the work in flight, frees the models. Idempotent. */
  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private unfinished(): PairscoreError {
    return new PairscoreError('ERR_INTERNAL', `Expected a finished scorer for ${this.settings.ensemble}`);
  }
}
