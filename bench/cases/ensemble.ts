/** Case ensemble: the same rows through all models at once, on all devices. */

import { Dispatcher, type Lane } from '../../lib/batches/dispatch';
import { packBatch } from '../../lib/batches/pack';
import { planBatches } from '../../lib/batches/plan';
import { RowGroups } from '../../lib/batches/row-groups';
import { Ticket } from '../../lib/batches/ticket';
import type { NativeEngine } from '../../lib/native/contract';
import { threadsPerEngine } from '../../lib/model/open-ensemble';
import type { PlacedModel } from '../../lib/model/place-ensemble';
import { randomRows, rowLengths, sumOf } from '../lengths';
import { limitsOf, modeOf, openBenchEngine, placeForBench } from '../models';
import type { Figure } from '../figures';
import type { BenchOptions } from '../options';
import { percent, type CaseReport, type Table } from '../report';

/** Of the largest call: what counts as one of usual size. */
const FULL_SHARE = 0.9;

interface Seat {
  readonly device: string;
  readonly model: number;
  readonly engine: NativeEngine;
  readonly limits: ReturnType<typeof limitsOf>;
}

/** A seat at work, in milliseconds. */
interface Work {
  readonly seat: Seat;
  readonly tokens: number;
  readonly from: number;
  readonly to: number;
}

export async function benchEnsemble(options: BenchOptions): Promise<CaseReport> {
  const models = await placeForBench(options);
  const seats = await openSeats(models, options);
  try {
    const work: Work[] = [];
    const dispatcher = new Dispatcher(lanesOf(seats, work));
    const rowsOf = (count: number): readonly (readonly Int32Array[])[] => rowsByModel(models, seats, count);
    await warmUp(seats, rowsOf(options.rows));
    await runAll(dispatcher, rowsOf(Math.min(128, options.rows)));
    work.length = 0;
    const rows = rowsOf(options.rows);
    const started = performance.now();
    await runAll(dispatcher, rows);
    const wall = performance.now() - started;
    await dispatcher.close();
    const run = { models, rows, work, started, wall };
    return { tables: [table(run)], skipped: [], figures: figuresOf(run) };
  } finally {
    await Promise.all(seats.map(({ engine }) => engine.close()));
  }
}

async function openSeats(models: readonly PlacedModel[], options: BenchOptions): Promise<readonly Seat[]> {
  const seats: Seat[] = [];
  const threads = threadsPerEngine(
    options.threads,
    models.map(({ devices }) => devices),
  );
  for (const [model, placed] of models.entries()) {
    for (const device of placed.devices) {
      const { compute, weights } = modeOf(options);
      const limits = limitsOf(placed, device, compute);
      const engine = await openBenchEngine(placed.spec, {
        ...{ device, threads, limits, compute },
        weights: device === 'cpu' ? weights : placed.gpuWeights,
      });
      seats.push({ device, model, limits, engine });
    }
  }
  return seats;
}

/** Each engine alone with a call of full size, whose first one chooses algorithms. */
async function warmUp(seats: readonly Seat[], rows: readonly (readonly Int32Array[])[]): Promise<void> {
  for (const { model, engine, limits } of seats) {
    const own = rows[model] ?? [];
    const [first] = planBatches(
      own.map(({ length }) => length),
      limits,
    );
    if (first === undefined) continue;
    const { tokens, offsets } = packBatch(first.rows.map((row) => own[row] ?? new Int32Array(1)));
    await engine.score(tokens, offsets);
  }
}

/** As the scorer's: a GPU is one lane, on the CPU each model has its own. */
function laneOf({ device, model }: Seat): string {
  return device === 'cpu' ? `cpu, model ${model}` : device;
}

function lanesOf(seats: readonly Seat[], work: Work[]): readonly Lane[] {
  return [...new Set(seats.map(laneOf))].map((lane) => {
    const own = seats.filter((seat) => laneOf(seat) === lane);
    return {
      device: own[0]?.device ?? lane,
      seats: own.map((seat) => ({ model: seat.model, limits: seat.limits, engine: timed(seat, work) })),
    };
  });
}

function timed(seat: Seat, work: Work[]): Pick<NativeEngine, 'score'> {
  return {
    score: async (tokens, offsets) => {
      const from = performance.now();
      const logits = await seat.engine.score(tokens, offsets);
      work.push({ seat, tokens: tokens.length, from, to: performance.now() });
      return logits;
    },
  };
}

function rowsByModel(
  models: readonly PlacedModel[],
  seats: readonly Seat[],
  count: number,
): readonly (readonly Int32Array[])[] {
  return models.map(({ spec }, model) => {
    const vocabulary = seats.find((seat) => seat.model === model)?.engine.info().vocabularySize ?? 1;
    return randomRows(rowLengths(count, spec.maxLength), vocabulary);
  });
}

async function runAll(dispatcher: Dispatcher, rows: readonly (readonly Int32Array[])[]): Promise<void> {
  const tickets = rows.map((lists, model) => {
    const ticket = new Ticket(lists.length);
    dispatcher.submit('bulk', model, RowGroups.of(lists.map((tokens, slot) => ({ tokens, ticket, slot }))));
    return ticket.answers;
  });
  await Promise.all(tickets);
}

interface Run {
  readonly models: readonly PlacedModel[];
  readonly rows: readonly (readonly Int32Array[])[];
  readonly work: readonly Work[];
  readonly started: number;
  readonly wall: number;
}

function table({ models, rows, work, started, wall }: Run): Table {
  const tokens = sumOf(rows.flat().map(({ length }) => length));
  const lanes = [...groupBy(work, ({ seat }) => laneOf(seat))];
  const ends = lanes.map(([, own]) => Math.max(...own.map(({ to }) => to)) - started);
  return {
    title: `ensemble: ${models.map(({ spec }) => spec.name).join(' + ')} at once on ${lanes.map(([lane]) => lane).join(', ')}`,
    columns: ['measure', 'value'],
    rows: [
      ['rows', rows[0]?.length ?? 0],
      ['tokens, all models', tokens],
      ['wall s', wall / 1000],
      ['rows/s', ((rows[0]?.length ?? 0) / wall) * 1000],
      ['tokens/s, all models', (tokens / wall) * 1000],
      ['wall against work / lanes', wall / (busyTime(work) / Math.max(1, lanes.length))],
      ...lanes.map(([lane, own]): readonly [string, string] => [`${lane} busy`, percent(busyTime(own) / wall)]),
      ['lanes end apart by', percent((Math.max(...ends) - Math.min(...ends)) / wall)],
      ...speeds(work).map(({ seat, speed }): readonly [string, number] => [
        `${models[seat.model]?.spec.name ?? ''} on ${seat.device}, tokens/s of its own time`,
        speed,
      ]),
    ],
  };
}

function figuresOf({ models, work }: Run): readonly Figure[] {
  return speeds(work).flatMap(({ seat, speed }) => {
    const model = models[seat.model]?.spec.name;
    if (model === undefined) return [];
    return [{ name: 'all at once' as const, model, device: seat.device, value: speed, how: 'while all devices work' }];
  });
}

/** Calls cut short for a common end, which lanes that share work have, are no measure of a device. */
function speeds(work: readonly Work[]): readonly { readonly seat: Seat; readonly speed: number }[] {
  return [...groupBy(work, ({ seat }) => seat)].map(([seat, own]) => {
    const largest = Math.max(...own.map(({ tokens }) => tokens));
    const full = own.filter(({ tokens }) => tokens >= largest * FULL_SHARE);
    return { seat, speed: (1000 * sumOf(full.map(({ tokens }) => tokens))) / busyTime(full) };
  });
}

function busyTime(work: readonly Work[]): number {
  return sumOf(work.map(({ from, to }) => to - from));
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const same = groups.get(key);
    if (same) same.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
