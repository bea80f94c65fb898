/** The schedule under a simulated clock: devices that take so long for a batch, and nothing else. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RowGroups } from '../../../lib/batches/row-groups';
import { Schedule, type Assignment, type LaneSpec } from '../../../lib/batches/schedule';
import { Ticket } from '../../../lib/batches/ticket';

const LIMITS = { maxBatchTokens: 33_792, maxBatchSequences: 512, padding: 'none' } as const;

/** Upper edges of sixteen equal bins: lengths of the task's rows in tokens, cut at 2048. */
const EDGES = [34, 133, 196, 263, 333, 406, 481, 551, 623, 703, 782, 878, 999, 1194, 1639, 2048];

interface Done {
  readonly lane: number;
  readonly assignment: Assignment;
  readonly from: number;
  readonly to: number;
}

interface Machine {
  readonly lanes: readonly LaneSpec[];
  /** Tokens a second of a lane at a time. */
  readonly speed: (lane: number, seconds: number, model: number) => number;
  /** What every batch costs whatever it holds. */
  readonly overhead?: number;
}

function rowsLike(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => {
    const bin = i % (EDGES.length - 1);
    const low = EDGES[bin] ?? 0;
    const high = EDGES[bin + 1] ?? low;
    return low + Math.round(((high - low) * ((i * 7919) % 997)) / 997);
  });
}

function toRows(lengths: readonly number[]): RowGroups {
  const ticket = new Ticket(lengths.length);
  return RowGroups.of(lengths.map((length, slot) => ({ tokens: new Int32Array(length), ticket, slot })));
}

function lanesOf(count: number, models: readonly number[]): readonly LaneSpec[] {
  const seats = models.map((model) => ({ model, limits: LIMITS }));
  return Array.from({ length: count }, (_, lane) => ({ device: `cuda:${lane}`, seats }));
}

/** Runs everything that waits; the lane that is free first takes first. */
function simulate(schedule: Schedule, { lanes, speed, overhead = 0 }: Machine): readonly Done[] {
  const clocks = lanes.map(() => 0);
  const idle = lanes.map(() => false);
  const done: Done[] = [];
  while (idle.includes(false)) {
    const lane = clocks.reduce((best, at, i) => (!idle[i] && (idle[best] || at < clocks[best]!) ? i : best), 0);
    const assignment = schedule.take(lane);
    if (assignment === undefined) {
      idle[lane] = true;
      continue;
    }
    const from = clocks[lane]!;
    const seconds = overhead + assignment.tokens / speed(lane, from, assignment.seat.model);
    schedule.learn(lane, assignment, seconds);
    clocks[lane] = from + seconds;
    done.push({ lane, assignment, from, to: from + seconds });
  }
  return done;
}

/** How far apart the lanes end, as a share of the whole. */
function spreadOf(done: readonly Done[], lanes: number): number {
  const ends = Array.from({ length: lanes }, (_, lane) =>
    Math.max(0, ...done.filter((one) => one.lane === lane).map(({ to }) => to)),
  );
  return (Math.max(...ends) - Math.min(...ends)) / Math.max(...ends);
}

function runBoth(count: number, machine: Machine, models: readonly number[] = [0, 1]): readonly Done[] {
  const schedule = new Schedule(machine.lanes);
  for (const model of models) schedule.add('bulk', model, toRows(rowsLike(count)));
  return simulate(schedule, machine);
}

function describeSpread(done: readonly Done[], lanes: number): string {
  return `ends are ${(100 * spreadOf(done, lanes)).toFixed(2)} % apart, ${done.length} batches`;
}

for (const count of [1, 2, 4, 8]) {
  test(`${count} devices of unequal speed end within 3 % of each other`, () => {
    const speed = (lane: number, _: number, model: number): number => 5000 * (1 + (lane % 4)) * (model + 1);
    const done = runBoth(3000 * count, { lanes: lanesOf(count, [0, 1]), speed, overhead: 0.004 });
    assert.ok(spreadOf(done, count) <= 0.03, describeSpread(done, count));
  });

  test(`${count} devices, one of which slows down to a third in the last tenth, end within 3 %`, () => {
    const rows = 3000 * count;
    const tokens = 2 * rowsLike(rows).reduce((sum, length) => sum + length, 0);
    const late = (0.9 * tokens) / (10_000 * count);
    const speed = (lane: number, seconds: number): number => (lane === 0 && seconds > late ? 3333 : 10_000);
    const done = runBoth(rows, { lanes: lanesOf(count, [0, 1]), speed, overhead: 0.004 });
    assert.ok(spreadOf(done, count) <= 0.03, describeSpread(done, count));
  });
}

test('every row is scored once by each model, whatever the devices do', () => {
  const machine = { lanes: lanesOf(4, [0, 1]), speed: (lane: number) => 1000 * (lane + 1) };
  const done = runBoth(500, machine);
  for (const model of [0, 1]) {
    const slots = done
      .filter(({ assignment }) => assignment.seat.model === model)
      .flatMap(({ assignment }) => assignment.rows.map(({ slot }) => slot));
    assert.deepEqual(
      slots.sort((a, b) => a - b),
      Array.from({ length: 500 }, (_, i) => i),
    );
  }
});

test('small batches at the end cost little: equal devices lose under 3 % to calls and balance', () => {
  const overhead = 0.004;
  const rows = rowsLike(12_000);
  const done = runBoth(12_000, { lanes: lanesOf(2, [0, 1]), speed: () => 10_000, overhead });
  const ideal = (2 * rows.reduce((sum, length) => sum + length, 0)) / 20_000;
  const wall = Math.max(...done.map(({ to }) => to));
  assert.ok(wall <= ideal * 1.03, `${wall.toFixed(1)} s against ${ideal.toFixed(1)} s`);
});

test('a device that holds one model only never gets rows of the other', () => {
  const lanes = [
    { device: 'cuda:0', seats: [{ model: 0, limits: LIMITS }] },
    {
      device: 'cuda:1',
      seats: [
        { model: 0, limits: LIMITS },
        { model: 1, limits: LIMITS },
      ],
    },
  ];
  const done = runBoth(6000, { lanes, speed: () => 10_000, overhead: 0.004 });
  assert.ok(done.every(({ lane, assignment }) => lane === 1 || assignment.seat.model === 0));
  assert.ok(spreadOf(done, 2) <= 0.03, describeSpread(done, 2));
});

test('a device that hangs on its first batch does not keep the others from the rest', () => {
  const speed = (lane: number): number => (lane === 0 ? 10 : 10_000);
  const done = runBoth(2000, { lanes: lanesOf(4, [0, 1]), speed });
  assert.equal(done.filter(({ lane }) => lane === 0).length, 1);
});
