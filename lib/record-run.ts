/** One run over all rows of a file. */

import { linkedController, throwIfAborted } from './abort';
import type { Dispatcher } from './batches/dispatch';
import { planBatches } from './batches/plan';
import { RowGroups } from './batches/row-groups';
import { visitInSlices } from './batches/slices';
import { Ticket } from './batches/ticket';
import { inputFault } from './csv/fault';
import { hasErrorCode } from './errors';
import type { Member } from './model/open-ensemble';
import type { DryRun, ModelPlan, RecordsOptions, RecordsOutcome, ScoredRecord } from './outcome';
import type { Orientation, PairRecord, Preference } from './pair';
import { UNIFORM, combineAnswers, type Voter } from './probability';
import { parseRecords, type ParsedRecords } from './records';
import { tokenizePairs } from './sequences';
import { checkSignal, listener, usageError } from './settings';
import { Tracker } from './tracker';

export interface RunSeats {
  readonly members: readonly Pick<Member, 'spec' | 'tokenizer'>[];
  readonly voters: readonly Voter[];
  readonly dispatcher: Dispatcher;
  readonly orientations: readonly Orientation[];
}

const POLICIES: readonly unknown[] = ['skip', 'fail', 'uniform'];

export class RecordRun {
  /** Fires with the caller's signal, and when the run ends or fails: stops what is still being tokenized. */
  private readonly stop: AbortController;
  private readonly release: () => void;

  constructor(
    private readonly seats: RunSeats,
    private readonly options: RecordsOptions,
  ) {
    checkPolicy(options);
    ({ stop: this.stop, release: this.release } = linkedController(checkSignal(options.signal)));
  }

  async score(records: readonly PairRecord[]): Promise<RecordsOutcome> {
    try {
      throwIfAborted(this.stop.signal);
      return await this.run(records);
    } finally {
      this.release();
      this.stop.abort();
    }
  }

  private get views(): number {
    return this.seats.orientations.length;
  }

  private get sequencesPerRow(): number {
    return this.seats.members.length * this.views;
  }

  private async run(records: readonly PairRecord[]): Promise<RecordsOutcome> {
    const { members, dispatcher } = this.seats;
    const specs = members.map(({ spec }) => spec);
    const policy = this.options.onBadRow ?? 'fail';
    const parsed = await parseRecords(records, specs, { policy, signal: this.stop.signal });
    const tracker = new Tracker({
      rows: parsed.records.length,
      sequencesPerRow: this.sequencesPerRow,
      onProgress: listener(this.options.onProgress, 'onProgress'),
      work: () => dispatcher.work(),
    });
    const answers = await this.answers(parsed, tracker);
    tracker.finish();
    return {
      scores: await this.toScores(records, parsed, answers),
      badRows: parsed.badRows,
      tokens: tracker.tokens,
      seconds: tracker.seconds,
      devices: tracker.devices(),
    };
  }

  /** Each model's rows go to the engines as soon as they are tokenized; the first error of any model ends all. */
  private async answers(parsed: ParsedRecords, tracker: Tracker): Promise<readonly Float32Array[]> {
    const count = parsed.records.length * this.sequencesPerRow;
    const ticket = new Ticket(count, this.stop.signal, (slot) => tracker.onAnswer(slot));
    const submitting = this.seats.members.map((member, model) =>
      this.submit(member, { model, parsed, ticket, tracker }),
    );
    void Promise.all(submitting).catch((error: unknown) => ticket.fail(error));
    return ticket.answers;
  }

  private async submit(
    member: RunSeats['members'][number],
    part: { model: number; parsed: ParsedRecords; ticket: Ticket; tracker: Tracker },
  ): Promise<void> {
    const { model, parsed, ticket, tracker } = part;
    const { members, orientations, dispatcher } = this.seats;
    const sequences = await tokenizePairs(member, parsed.texts[model] ?? [], {
      orientations,
      signal: this.stop.signal,
      nameOf: (pair) => rowName(parsed.records[pair]),
      onDone: (pairs) => tracker.onTokenized(model, pairs, members.length),
    });
    const rows = new RowGroups();
    const queue = (tokens: Int32Array, i: number): void => {
      const slot = this.slotOf(model, i);
      rows.add({ tokens, ticket, slot });
      tracker.onLength(slot, tokens.length);
    };
    await visitInSlices(sequences, queue, this.stop.signal);
    dispatcher.submit('bulk', model, rows);
  }

  /** Slots are numbered row by row, in a row model by model, in a model orientation by orientation. */
  private slotOf(model: number, sequence: number): number {
    const row = Math.floor(sequence / this.views);
    return row * this.sequencesPerRow + model * this.views + (sequence % this.views);
  }

  private async toScores(
    records: readonly PairRecord[],
    parsed: ParsedRecords,
    answers: readonly Float32Array[],
  ): Promise<readonly ScoredRecord[]> {
    const width = this.sequencesPerRow;
    const isUniform = this.options.onBadRow === 'uniform';
    const scores: ScoredRecord[] = [];
    let good = 0;
    // The good rows are the records without the bad ones, in the same order.
    const score = (record: PairRecord): void => {
      const isGood = parsed.records[good] === record;
      if (!isGood && !isUniform) return;
      const logits = answers.slice(good * width, (good + 1) * width);
      scores.push({ id: record.id, row: record.row, preference: isGood ? this.combine(record, logits) : UNIFORM });
      if (isGood) good += 1;
    };
    await visitInSlices(records, score, this.stop.signal);
    return scores;
  }

  private combine(record: PairRecord, logits: readonly Float32Array[]): Preference {
    try {
      return combineAnswers(logits, this.seats.voters, this.seats.orientations);
    } catch (error) {
      if (!hasErrorCode(error)) throw error;
      const { id, row } = record;
      throw inputFault(error.code, error.message, { id, row, cause: error });
    }
  }
}

/** As much of a member as a plan looks at. */
interface PlannedMember extends Pick<Member, 'spec' | 'tokenizer'> {
  readonly engines: readonly Pick<Member['engines'][number], 'device' | 'limits'>[];
}

/** What a run would do, up to the engines' door. */
export async function planRecords(
  records: readonly PairRecord[],
  members: readonly PlannedMember[],
  options: RecordsOptions & { readonly orientations: readonly Orientation[] },
): Promise<DryRun> {
  checkPolicy(options);
  const signal = checkSignal(options.signal) ?? new AbortController().signal;
  const specs = members.map(({ spec }) => spec);
  const parsed = await parseRecords(records, specs, { policy: options.onBadRow ?? 'fail', signal });
  const nameOf = (pair: number): string => rowName(parsed.records[pair]);
  const plans = members.map(async (member, model) => {
    const { orientations } = options;
    return toPlan(member, await tokenizePairs(member, parsed.texts[model] ?? [], { orientations, signal, nameOf }));
  });
  return { rows: parsed.records.length, badRows: parsed.badRows, models: await Promise.all(plans) };
}

function rowName(record: PairRecord | undefined): string {
  return record === undefined ? 'a row' : `row ${record.row} (id ${record.id})`;
}

function toPlan({ spec, engines }: PlannedMember, sequences: readonly Int32Array[]): ModelPlan {
  const lengths = sequences.map((ids) => ids.length);
  const limits = engines[0]?.limits ?? { maxBatchTokens: Infinity, maxBatchSequences: 1, padding: 'none' as const };
  const batches = planBatches(lengths, limits);
  return {
    name: spec.name,
    devices: engines.map(({ device }) => device),
    sequences: sequences.length,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    paddedTokens: batches.reduce((sum, batch) => sum + batch.paddedTokens, 0),
    longest: batches.reduce((most, { longest }) => Math.max(most, longest), 0),
    atMaxLength: lengths.filter((length) => length >= spec.maxLength).length,
    batches: batches.length,
  };
}

function checkPolicy({ onBadRow }: RecordsOptions): void {
  if (onBadRow === undefined || POLICIES.includes(onBadRow)) return;
  throw usageError(`'skip', 'fail' or 'uniform'`, 'onBadRow', onBadRow);
}
