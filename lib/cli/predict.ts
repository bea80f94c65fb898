import { resolve } from 'node:path';
import { readPairs } from '../csv/read';
import { submissionPieces } from '../csv/submission';
import { expectWritable, isSameFile, STANDARD_OUTPUT, writeStream, writeWhole } from '../csv/write';
import { PairscoreError } from '../errors';
import type { RecordsOutcome } from '../outcome';
import type { PairRecord } from '../pair';
import { openScorer, type Scorer } from '../scorer';
import { BUNDLED_ENSEMBLE } from '../settings';
import type { PredictFlags } from './flags';
import { BUNDLED_PAIRS, VERSION } from './package-root';
import { progressView, SILENT, type ProgressView } from './progress';
import type { Stop } from './stop';
import { dryRunJson, dryRunText, predictionJson, predictionText, type RunFacts } from './summary';

/** Everything that one run needs. */
interface Run {
  readonly flags: PredictFlags;
  readonly input: string;
  readonly output: string;
  readonly records: readonly PairRecord[];
  readonly scorer: Scorer;
  readonly view: ProgressView;
  readonly stop: Stop;
}

const DEFAULT_OUTPUT = 'submission.csv';

/** CSV in, submission out. Everything that can be refused is refused before the first row is scored. */
export async function predict(flags: PredictFlags, stop: Stop): Promise<void> {
  const input = inputOf(flags);
  const output = outputOf(flags);
  const view = flags.quiet === true ? SILENT : progressView(process.stderr);
  if (flags.dryRun !== true) await expectOutput(output, input);
  const { records } = await readPairs(input, stop.signal);
  const scorer = await openFor(flags, view, stop.signal);
  try {
    stop.signal.throwIfAborted();
    const run = { flags, input, output, records, scorer, view, stop };
    await (flags.dryRun === true ? plan(run) : score(run));
  } catch (error) {
    throw inFile(error, input);
  } finally {
    view.end();
    await scorer.close();
  }
}

async function score(run: Run): Promise<void> {
  const { flags, records, scorer, view, stop } = run;
  const { signal } = stop;
  const outcome = await scorer.scoreRecords(records, { onBadRow: flags.onBadRow, onProgress: view.show, signal });
  expectScores(outcome);
  const pieces = submissionPieces(outcome.scores);
  if (run.output === STANDARD_OUTPUT) await writeStream(process.stdout, pieces);
  else await writeWhole(run.output, pieces, signal);
  stop.commit();
  view.end();
  const facts = factsOf(run);
  await tell(run, predictionText(facts, outcome), predictionJson(facts, outcome));
}

async function plan(run: Run): Promise<void> {
  const { flags, records, scorer, view, stop } = run;
  const planned = await scorer.plan(records, { onBadRow: flags.onBadRow, signal: stop.signal });
  view.end();
  const facts = factsOf(run);
  await tell(run, dryRunText(facts, planned), dryRunJson(facts, planned));
}

/** The summary for people, and for programs: that one on standard output unless the rows went there. */
async function tell(run: Run, text: string, json: unknown): Promise<void> {
  const { flags, output } = run;
  const stream = output === STANDARD_OUTPUT ? process.stderr : process.stdout;
  const isForPeople = flags.quiet !== true && !(flags.json === true && stream === process.stderr);
  if (isForPeople) process.stderr.write(text);
  if (flags.json === true) await writeStream(stream, [`${JSON.stringify(json)}\n`]);
}

/** A demo is rows and models together: rows of the demo under a user's models would look like a result. */
function inputOf(flags: PredictFlags): string {
  if (flags.input !== undefined) return resolve(flags.input);
  if (flags.ensemble === undefined) return BUNDLED_PAIRS;
  throw new PairscoreError('ERR_USAGE', 'Expected --input FILE beside --ensemble but received none');
}

function outputOf({ output = DEFAULT_OUTPUT }: PredictFlags): string {
  if (output === '') throw new PairscoreError('ERR_USAGE', 'Expected a file or - for --output but received nothing');
  return output === STANDARD_OUTPUT ? output : resolve(output);
}

/** Both are known to be usable together before any work. */
async function expectOutput(output: string, input: string): Promise<void> {
  if (output !== STANDARD_OUTPUT && (await isSameFile(output, input))) {
    throw new PairscoreError('ERR_USAGE', `Expected --output to be another file than --input but received ${output}`);
  }
  await expectWritable(output);
}

async function openFor(flags: PredictFlags, view: ProgressView, signal: AbortSignal): Promise<Scorer> {
  const {
    input: _input,
    output: _output,
    onBadRow: _onBadRow,
    json: _json,
    quiet: _quiet,
    dryRun: _dryRun,
    ...options
  } = flags;
  return openScorer({ ...options, onStage: view.note, signal });
}

function expectScores(outcome: RecordsOutcome): void {
  if (outcome.scores.length > 0) return;
  const message = `Expected at least one well-formed row but received ${outcome.badRows.length} malformed ones`;
  throw new PairscoreError('ERR_INPUT_EMPTY', message);
}

/** The scorer knows rows, not files. */
function inFile(error: unknown, file: string): unknown {
  const isOfInput =
    error instanceof PairscoreError && error.code.startsWith('ERR_INPUT') && error.place.file === undefined;
  return isOfInput ? new PairscoreError(error.code, error.message, { ...error.place, file, cause: error }) : error;
}

function factsOf({ flags, input, output, records, scorer }: Run): RunFacts {
  const ensemble = flags.ensemble === undefined ? BUNDLED_ENSEMBLE : resolve(flags.ensemble);
  const { onBadRow } = flags;
  const { models, leftOut } = scorer;
  return { version: VERSION, input, output, ensemble, rows: records.length, onBadRow, models, leftOut };
}
