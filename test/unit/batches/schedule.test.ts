import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tokensOf } from '../../../lib/batches/pool';
import { Schedule } from '../../../lib/batches/schedule';
import { Ticket } from '../../../lib/batches/ticket';
import { LIMITS, lengthsLikeTheData, rowsOf, simulate, spread, type Device } from './simulate';

const ROWS = 8000;
const LENGTHS = lengthsLikeTheData(ROWS);
const TOKENS = LENGTHS.reduce((sum, length) => sum + length, 0);

const steady = (speed: number, models: readonly number[] = [0, 1]): Device => ({ models, speed: () => speed });

for (const count of [1, 2, 4, 8]) {
  test(`${count} equal devices finish within 3 % of each other, nothing left out`, () => {
    const outcome = simulate(
      Array.from({ length: count }, () => steady(50_000)),
      2,
      LENGTHS,
    );
    assert.equal(outcome.scored, ROWS * 2);
    assert.ok(spread(outcome) <= 0.03, `spread ${spread(outcome)}`);
    const ideal = (2 * TOKENS) / 50_000 / count;
    assert.ok(Math.max(...outcome.finished) <= ideal * 1.03);
  });
}

test('devices of unequal speed share the work by speed and finish together', () => {
  const speeds = [10_000, 20_000, 35_000, 80_000];
  const outcome = simulate(
    speeds.map((speed) => steady(speed)),
    2,
    LENGTHS,
  );
  assert.ok(spread(outcome) <= 0.03, `spread ${spread(outcome)}`);
});

test('a device that becomes slow half way takes less from then on', () => {
  const throttled: Device = { models: [0, 1], speed: (seconds) => (seconds < 100 ? 40_000 : 8_000) };
  const outcome = simulate([steady(40_000), throttled], 2, LENGTHS);
  assert.ok(Math.max(...outcome.finished) > 120, 'the run is long enough to see the change');
  assert.ok(spread(outcome) <= 0.03, `spread ${spread(outcome)}`);
});

test('a device that stalls at the very end holds up at most one small batch', () => {
  const ideal = (2 * TOKENS) / 80_000;
  const straggler: Device = { models: [0, 1], speed: (seconds) => (seconds < ideal * 0.97 ? 40_000 : 4_000) };
  const outcome = simulate([steady(40_000), straggler], 2, LENGTHS);
  assert.ok(Math.max(...outcome.finished) <= ideal + (LIMITS.maxBatchTokens / 4_000) * 1.01);
});

test('a device that serves both models leaves the shared one to the other where it alone serves one', () => {
  const outcome = simulate([steady(40_000, [0]), steady(40_000, [0, 1])], 2, LENGTHS);
  assert.ok(spread(outcome) <= 0.03, `spread ${spread(outcome)}`);
});

test('models pinned to a device each are not cut into smaller batches', () => {
  const pinned = simulate([steady(40_000, [0]), steady(40_000, [1])], 2, LENGTHS);
  const alone = simulate([steady(40_000, [0])], 1, LENGTHS);
  assert.equal(pinned.batches, alone.batches * 2);
});

test('few rows are spread over idle devices instead of filling one batch', () => {
  const schedule = new Schedule([0, 1].map((i) => ({ device: `cuda:${i}`, seats: [{ model: 0, limits: LIMITS }] })));
  schedule.add('live', 0, rowsOf([1500, 1500, 1500, 1500], new Ticket(4)));
  assert.equal(schedule.take(0)?.rows.length, 1);
  assert.ok(schedule.take(1));
});

test('a lane gets nothing for a model that is not loaded there', () => {
  const schedule = new Schedule([
    { device: 'cuda:0', seats: [{ model: 0, limits: LIMITS }] },
    { device: 'cuda:1', seats: [{ model: 1, limits: LIMITS }] },
  ]);
  schedule.add('bulk', 0, rowsOf([10], new Ticket(1)));
  assert.equal(schedule.take(1), undefined);
  assert.equal(schedule.take(0)?.rows.length, 1);
  assert.equal(schedule.take(0), undefined);
});

test('single calls come between the batches of a long run, and the run goes on', () => {
  const schedule = new Schedule([{ device: 'cpu', seats: [{ model: 0, limits: LIMITS }] }]);
  schedule.add('bulk', 0, rowsOf(Array<number>(200).fill(1000), new Ticket(200)));
  for (let i = 0; i < 4; i += 1) {
    schedule.add('live', 0, rowsOf([7], new Ticket(1)));
    const kinds = [schedule.take(0), schedule.take(0)].map((batch) => (batch ? tokensOf(batch.rows) : 0));
    assert.deepEqual(kinds, [7, 33000]);
  }
});

test('rows of a closed ticket are never handed out', () => {
  const schedule = new Schedule([{ device: 'cpu', seats: [{ model: 0, limits: LIMITS }] }]);
  const [gone, here] = [new Ticket(3), new Ticket(2)];
  gone.answers.catch(() => undefined);
  schedule.add('live', 0, rowsOf([50, 40, 30], gone));
  schedule.add('live', 0, rowsOf([45, 20], here));
  gone.fail(new Error('gone'));
  assert.deepEqual(
    schedule.take(0)?.rows.map((row) => row.tokens.length),
    [45, 20],
  );
  assert.equal(schedule.take(0), undefined);
});

test('a short row that waits is not overtaken forever by longer ones that keep coming', () => {
  const schedule = new Schedule([{ device: 'cpu', seats: [{ model: 0, limits: LIMITS }] }]);
  const ticket = new Ticket(1000);
  schedule.add('live', 0, rowsOf([5], ticket));
  for (let turn = 0; turn < 10; turn += 1) {
    schedule.add('live', 0, rowsOf(Array<number>(8).fill(2000), ticket));
    if (schedule.take(0)?.rows.some((row) => row.tokens.length === 5)) return;
  }
  assert.fail('the short row still waits');
});
