/** The door: what users of the package see. lib/index.mjs re-exports the same names to ES modules. */

export { scorePair } from './default-scorer';
export { openScorer, type ScoreOptions, type Scorer } from './scorer';
export { type ScorerOptions, type TokenizerChoice } from './settings';
export type {
  BadRow,
  BadRowPolicy,
  DeviceProgress,
  DryRun,
  ModelPlan,
  ModelReport,
  Progress,
  RecordsOptions,
  RecordsOutcome,
  ScoredRecord,
} from './outcome';
export { ERROR_CODES, EXIT, PairscoreError, hasErrorCode, type ErrorCode, type ErrorPlace } from './errors';
export type { Pair, PairRecord, PairText, Preference, Turns } from './pair';
export type { Signal } from './signal';
