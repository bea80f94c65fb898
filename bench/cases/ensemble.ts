/** Case ensemble: the same rows through all models at once, on all devices. */

import { Dispatcher, type Lane } from '../../lib/batches/dispatch';
import { RowGroups } from '../../lib/batches/row-groups';
import { Ticket } from '../../lib/batches/ticket';
import type { NativeEngine } from '../../lib/native/contract';
import { threadsPerEngine } from '../../lib/model/open-ensemble';
import type { PlacedModel } from '../../lib/model/place-ensemble';
import { randomRows, rowLengths, sumOf } from '../lengths';
import { limitsOf, modeOf, openBenchEngine, placeForBench } from '../models';
import type { BenchOptions } from '../options';
import { percent, type CaseReport, type Table } from '../report';

interface Seat {
  readonly device: string;
  readonly model: number;
  readonly engine: NativeEngine;
  readonly limits: ReturnType<typeof limitsOf>;
}

/** How long each lane was at work and when it ended, in milliseconds. */
type Busy = Map<string, { busy: number; last: number }>;

export async function benchEnsemble(options: BenchOptions): Promise<CaseReport> {
  const models = await placeForBench(options);
  const seats = await openSeats(models, options);
  try {
    const busy: Busy = new Map();
    const dispatcher = new Dispatcher(lanesOf(seats, busy));
    const rowsOf = (count: number): readonly (readonly Int32Array[])[] => rowsByModel(models, seats, count);
    await runAll(dispatcher, rowsOf(Math.min(128, options.rows)));
    busy.clear();
    const rows = rowsOf(options.rows);
    const started = performance.now();
    await runAll(dispatcher, rows);
    const wall = performance.now() - started;
    await dispatcher.close();
    return { tables: [table({ models, rows, busy, started, wall })], skipped: [], figures: [] };
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

/** As the scorer's: a GPU is one lane, on the CPU each model has its own. */
function lanesOf(seats: readonly Seat[], busy: Busy): readonly Lane[] {
  const laneOf = ({ device, model }: Seat): string => (device === 'cpu' ? `cpu, model ${model}` : device);
  return [...new Set(seats.map(laneOf))].map((lane) => {
    const own = seats.filter((seat) => laneOf(seat) === lane);
    return {
      device: own[0]?.device ?? lane,
      seats: own.map(({ model, limits, engine }) => ({ model, limits, engine: timed(engine, lane, busy) })),
    };
  });
}

function timed(engine: NativeEngine, lane: string, busy: Busy): Pick<NativeEngine, 'score'> {
  return {
    score: async (tokens, offsets) => {
      const from = performance.now();
      const logits = await engine.score(tokens, offsets);
      const to = performance.now();
      busy.set(lane, { busy: (busy.get(lane)?.busy ?? 0) + to - from, last: to });
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
  readonly busy: Busy;
  readonly started: number;
  readonly wall: number;
}

function table({ models, rows, busy, started, wall }: Run): Table {
  const tokens = sumOf(rows.flat().map(({ length }) => length));
  const ends = [...busy.values()].map(({ last }) => last - started);
  const work = sumOf([...busy.values()].map((one) => one.busy));
  return {
    title: `ensemble: ${models.map(({ spec }) => spec.name).join(' + ')} at once on ${[...busy.keys()].join(', ')}`,
    columns: ['measure', 'value'],
    rows: [
      ['rows', rows[0]?.length ?? 0],
      ['tokens, all models', tokens],
      ['wall s', wall / 1000],
      ['rows/s', ((rows[0]?.length ?? 0) / wall) * 1000],
      ['tokens/s, all models', (tokens / wall) * 1000],
      ['wall against work / lanes', wall / (work / Math.max(1, busy.size))],
      ...[...busy].map(([lane, one]): readonly [string, string] => [`${lane} busy`, percent(one.busy / wall)]),
      ['lanes end apart by', percent((Math.max(...ends) - Math.min(...ends)) / wall)],
    ],
  };
}
