/** The order of the stages: pair -> text -> token ids -> batches -> logits -> probabilities. */

import { linkedController } from './abort';
import { mapAhead } from './batches/ahead';
import { Dispatcher, closedError, type Lane } from './batches/dispatch';
import { Gather } from './batches/gather';
import { RowGroups } from './batches/row-groups';
import { mapInSlices } from './batches/slices';
import { Ticket } from './batches/ticket';
import { checkPair } from './check-pair';
import { readEnsemble } from './model/ensemble';
import { closeAll } from './model/open';
import { openEnsemble, type Member } from './model/open-ensemble';
import { buildInfo } from './native/engine';
import type { DryRun, ModelReport, RecordsOptions, RecordsOutcome } from './outcome';
import type { Pair, PairRecord, Preference } from './pair';
import { combineAnswers, type Voter } from './probability';
import { pairTextFromPair } from './prompt/pair-text';
import { RecordRun, planRecords } from './record-run';
import { tokenizePairs } from './sequences';
import { checkOptions, checkSignal, usageError, type ScorerOptions, type Settings } from './settings';
import type { Signal } from './signal';

export interface ScoreOptions {
  readonly signal?: Signal;
}

/** A scorePair call on its way. */
interface Call {
  readonly pair: Pair;
  readonly ticket: Ticket;
}

/** Calls that are tokenized together. */
const CALLS_A_GROUP = 256;

/** Opens every model of an ensemble. Rejects, holding nothing, where one of them cannot be opened. */
export async function openScorer(options: ScorerOptions = {}): Promise<Scorer> {
  const settings = checkOptions(options);
  const ensemble = await readEnsemble(settings.ensemble);
  const members = await openEnsemble(ensemble, buildInfo().devices, settings);
  return new EnsembleScorer(settings, members, ensemble.leftOut);
}

declare global {
  /** Empty but for what the user's own libraries declare (ESNext.Disposable, Node's types): then `await using` works. */
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface AsyncDisposable {}
}

/** An open ensemble. close() it, or `await using` it. */
export interface Scorer extends AsyncDisposable {
  /** What was loaded, in the ensemble's order, and what it has done so far. */
  readonly models: readonly ModelReport[];
  /** Folders of the ensemble's models of weight 0: nothing of them was read. */
  readonly leftOut: readonly string[];
  /** Calls made while the engines are busy are scored together. */
  scorePair(pair: Pair, options?: ScoreOptions): Promise<Preference>;
  /** Yields in the source's order, and takes at most `lookAhead` pairs ahead. */
  scorePairs(
    pairs: Iterable<Pair> | AsyncIterable<Pair>,
    options?: ScoreOptions,
  ): AsyncGenerator<Preference, void, undefined>;
  /** Scores all rows of a file, in an order that suits the engines, each model with its own parser. */
  scoreRecords(records: readonly PairRecord[], options?: RecordsOptions): Promise<RecordsOutcome>;
  /** Parses and tokenizes as scoreRecords would, and says what the engines would get. */
  plan(records: readonly PairRecord[], options?: RecordsOptions): Promise<DryRun>;
  /** Refuses new work, fails what waits with ERR_CLOSED, waits for the work in flight, frees the models. Idempotent. */
  close(): Promise<void>;
}

/** Not exported: what it is made of stays out of the package's types. */
class EnsembleScorer implements Scorer {
  private readonly voters: readonly Voter[];
  private readonly dispatcher: Dispatcher;
  private readonly gather: Gather<Call>;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly settings: Settings,
    private readonly members: readonly Member[],
    readonly leftOut: readonly string[],
  ) {
    this.voters = members.map(({ spec, weight }) => ({ name: spec.name, labels: spec.labels, weight }));
    this.dispatcher = new Dispatcher(toLanes(members));
    this.gather = new Gather(CALLS_A_GROUP, (calls) => this.prepare(calls));
  }

  get models(): readonly ModelReport[] {
    return this.members.map(toReport);
  }

  async scorePair(pair: Pair, options: ScoreOptions = {}): Promise<Preference> {
    this.checkOpen();
    const signal = checkSignal(options.signal);
    return this.score(checkPair(pair), signal);
  }

  scorePairs(
    pairs: Iterable<Pair> | AsyncIterable<Pair>,
    options: ScoreOptions = {},
  ): AsyncGenerator<Preference, void, undefined> {
    this.checkOpen();
    checkSource(pairs);
    return this.scoreAhead(pairs, checkSignal(options.signal));
  }

  async scoreRecords(records: readonly PairRecord[], options: RecordsOptions = {}): Promise<RecordsOutcome> {
    this.checkOpen();
    const { members, voters, dispatcher, settings } = this;
    return new RecordRun({ members, voters, dispatcher, orientations: settings.orientations }, options).score(records);
  }

  async plan(records: readonly PairRecord[], options: RecordsOptions = {}): Promise<DryRun> {
    this.checkOpen();
    return planRecords(records, this.members, { ...options, orientations: this.settings.orientations });
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private async shutDown(): Promise<void> {
    await this.dispatcher.close();
    await this.gather.idle();
    await closeAll(this.members);
  }

  private async score(pair: Pair, signal: Signal | undefined): Promise<Preference> {
    const { orientations } = this.settings;
    const ticket = new Ticket(this.members.length * orientations.length, signal);
    if (ticket.isOpen) this.gather.add({ pair, ticket });
    return combineAnswers(await ticket.answers, this.voters, orientations);
  }

  private async *scoreAhead(
    pairs: Iterable<Pair> | AsyncIterable<Pair>,
    signal: Signal | undefined,
  ): AsyncGenerator<Preference, void, undefined> {
    // Of its own, so that a consumer who stops early stops the pairs that were taken ahead.
    const { stop, release } = linkedController(signal);
    const ahead = { most: this.settings.lookAhead, signal: stop.signal };
    try {
      yield* mapAhead(pairs, (pair) => this.scorePair(pair, { signal: stop.signal }), ahead);
    } finally {
      release();
      stop.abort();
    }
  }

  /** From pairs to rows that wait for an engine. Never rejects: errors belong to the calls. */
  private async prepare(calls: readonly Call[]): Promise<void> {
    const open = calls.filter(({ ticket }) => ticket.isOpen);
    try {
      this.checkOpen();
      await Promise.all(this.members.map((_, model) => this.submit(model, open)));
    } catch (error) {
      // Texts cannot be wrong here: the models, the tokenizers or the scorer failed all calls alike.
      for (const { ticket } of open) ticket.fail(error);
    }
  }

  private async submit(model: number, calls: readonly Call[]): Promise<void> {
    const member = this.members[model];
    if (member === undefined) return;
    const { orientations } = this.settings;
    const texts = await mapInSlices(calls, ({ pair }) => pairTextFromPair(pair, member.spec));
    const sequences = await tokenizePairs(member, texts, { orientations });
    const views = orientations.length;
    const rows = calls.flatMap(({ ticket }, i) =>
      sequences
        .slice(i * views, (i + 1) * views)
        .map((tokens, view) => ({ tokens, ticket, slot: model * views + view })),
    );
    this.dispatcher.submit('live', model, RowGroups.of(rows));
  }

  private checkOpen(): void {
    if (this.closing) throw closedError();
  }
}

/**
 * A lane works on one batch at a time. A GPU is one lane, for every model that is loaded there; on the CPU each model has
 * its own, since engines of few threads side by side waste less than one after another with all threads.
 */
function toLanes(members: readonly Member[]): readonly Lane[] {
  const seats = members.flatMap(({ engines }, model) => engines.map((opened) => ({ ...opened, model })));
  const laneOf = ({ device, model }: (typeof seats)[number]): string => (device === 'cpu' ? `cpu ${model}` : device);
  return [...new Set(seats.map(laneOf))].map((lane) => {
    const own = seats.filter((seat) => laneOf(seat) === lane);
    return { device: own[0]?.device ?? lane, seats: own };
  });
}

function toReport({ spec, weight, engines }: Member): ModelReport {
  const first = engines[0];
  return {
    name: spec.name,
    architecture: spec.architecture,
    folder: spec.folder,
    weight,
    quantization: first?.info.quantization ?? '',
    compute: first?.info.compute ?? '',
    rowsInBf16: engines.reduce((sum, { engine }) => sum + engine.info().rowsInBf16, 0),
    devices: engines.map(({ device }) => device),
    deviceNames: engines.map(({ info }) => info.deviceName),
    threads: first?.threads ?? 0,
    maxLength: spec.maxLength,
    maxBatchTokens: first?.limits.maxBatchTokens ?? 0,
    labels: spec.labels,
    adapterMatched: first?.info.adapterMatched ?? 0,
    adapterUnmatched: first?.info.adapterUnmatched ?? 0,
    adapterScale: first?.info.adapterScale ?? 0,
    weightBytes: first?.info.weightBytes ?? 0,
  };
}

function checkSource(value: unknown): void {
  const isSource =
    typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value);
  if (!isSource) throw usageError('an iterable or async iterable of pairs', 'pairs', value);
}
