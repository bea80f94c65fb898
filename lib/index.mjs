// The same door for ES modules. It re-exports the CommonJS build, so that a process has one copy of the addon's state.
import pairscore from '../dist/index.js';

export const { scorePair, openScorer, PairscoreError, hasErrorCode, ERROR_CODES, EXIT } = pairscore;
