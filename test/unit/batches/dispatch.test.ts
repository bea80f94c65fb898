import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Dispatcher, type Lane, type ScoringEngine } from '../../../lib/batches/dispatch';
import { RowGroups } from '../../../lib/batches/row-groups';
import { Ticket } from '../../../lib/batches/ticket';

const LIMITS = { maxBatchTokens: 64, maxBatchSequences: 4, padding: 'counted' } as const;

interface Log {
  readonly batches: number[];
  running: number;
  mostRunning: number;
}

/** Answers each row with its first token and its length, after a while. */
function echo(log: Log, milliseconds = 1): ScoringEngine {
  return {
    async score(tokens, offsets) {
      log.running += 1;
      log.mostRunning = Math.max(log.mostRunning, log.running);
      await sleep(milliseconds);
      log.running -= 1;
      log.batches.push(offsets.length - 1);
      const starts = [...offsets.slice(0, -1)];
      return Float32Array.from(starts.flatMap((at, i) => [tokens[at] ?? NaN, (offsets[i + 1] ?? 0) - at]));
    },
  };
}

const newLog = (): Log => ({ batches: [], running: 0, mostRunning: 0 });

function lane(device: string, engine: ScoringEngine, models: readonly number[] = [0]): Lane {
  return { device, seats: models.map((model) => ({ model, limits: LIMITS, engine })) };
}

function rows(lengths: readonly number[], ticket: Ticket, from = 0) {
  const row = (length: number, i: number) => ({
    tokens: new Int32Array(length).fill(from + i),
    ticket,
    slot: from + i,
  });
  return RowGroups.of(lengths.map(row));
}

test('every row gets its own answer, whichever device gave it', async () => {
  const log = newLog();
  const dispatcher = new Dispatcher([lane('a', echo(log)), lane('b', echo(log, 3)), lane('c', echo(log, 2))]);
  const lengths = Array.from({ length: 100 }, (_, i) => 1 + ((i * 13) % 30));
  const ticket = new Ticket(100);
  dispatcher.submit('bulk', 0, rows(lengths, ticket));
  const answers = await ticket.answers;
  answers.forEach((logits, i) => assert.deepEqual([...logits], [i, lengths[i]]));
  assert.equal(log.mostRunning, 3);
  await dispatcher.close();
});

test('a device works on one batch at a time', async () => {
  const log = newLog();
  const engine = echo(log);
  const dispatcher = new Dispatcher([lane('cpu', engine, [0, 1])]);
  const tickets = [new Ticket(10), new Ticket(10)];
  tickets.forEach((ticket, model) => dispatcher.submit('bulk', model, rows(Array<number>(10).fill(9), ticket)));
  await Promise.all(tickets.map((ticket) => ticket.answers));
  assert.equal(log.mostRunning, 1);
  await dispatcher.close();
});

test('what waits while the engine is busy goes together in the next batch', async () => {
  const log = newLog();
  const dispatcher = new Dispatcher([lane('cpu', echo(log, 5))]);
  const tickets = [0, 1, 2, 3].map(() => new Ticket(1));
  for (const ticket of tickets) dispatcher.submit('live', 0, rows([3], ticket));
  await Promise.all(tickets.map((ticket) => ticket.answers));
  assert.deepEqual(log.batches, [1, 3]);
  await dispatcher.close();
});

test('a row submitted in the very turn in which a lane runs dry is scored', async () => {
  const instant: ScoringEngine = { score: async (_, offsets) => new Float32Array(offsets.length - 1) };
  const dispatcher = new Dispatcher([lane('cpu', instant)]);
  const ticket = new Ticket(12);
  dispatcher.submit('live', 0, rows([], ticket));
  let step = Promise.resolve();
  for (let slot = 0; slot < 12; slot += 1) {
    // One step of the queue of microtasks later each time.
    step = step.then(() => dispatcher.submit('live', 0, rows([1], ticket, slot)));
  }
  assert.equal((await Promise.race([ticket.answers, sleep(500, [])])).length, 12);
  await dispatcher.close();
});

test('an engine that fails fails the callers of its batch and no others', async () => {
  const failing: ScoringEngine = {
    async score(tokens, offsets) {
      if (tokens[0] === 13) throw new Error('unlucky');
      return new Float32Array(offsets.length - 1);
    },
  };
  const dispatcher = new Dispatcher([lane('cpu', failing)]);
  const [bad, good] = [new Ticket(20), new Ticket(14)];
  dispatcher.submit('live', 0, RowGroups.of([{ tokens: Int32Array.of(13), ticket: bad, slot: 0 }]));
  dispatcher.submit('live', 0, RowGroups.of([{ tokens: Int32Array.of(1), ticket: good, slot: 0 }]));
  await assert.rejects(bad.answers, { message: 'unlucky' });
  const rest = Array.from({ length: 13 }, (_, i) => ({ tokens: Int32Array.of(1), ticket: good, slot: i + 1 }));
  dispatcher.submit('live', 0, RowGroups.of(rest));
  assert.equal((await good.answers).length, 14);
  await dispatcher.close();
});

test('the first error of a long run stops the rest of it', async () => {
  let calls = 0;
  const failing: ScoringEngine = {
    async score() {
      calls += 1;
      throw new Error(`call ${calls}`);
    },
  };
  const dispatcher = new Dispatcher([lane('cpu', failing)]);
  const ticket = new Ticket(100);
  dispatcher.submit('bulk', 0, rows(Array<number>(100).fill(5), ticket));
  await assert.rejects(ticket.answers, { message: 'call 1' });
  await sleep(5);
  assert.equal(calls, 1);
  await dispatcher.close();
});

test('an abort drops what waits, and the engine is not asked again', async () => {
  const log = newLog();
  const dispatcher = new Dispatcher([lane('cpu', echo(log, 10))]);
  const controller = new AbortController();
  const ticket = new Ticket(40, controller.signal);
  dispatcher.submit('bulk', 0, rows(Array<number>(40).fill(5), ticket));
  await sleep(2);
  controller.abort();
  await assert.rejects(ticket.answers, { code: 'ERR_ABORTED' });
  await sleep(25);
  assert.equal(log.batches.length, 1);
  await dispatcher.close();
});

test('logits in another number than the rows need are an error, not a wrong answer', async () => {
  const dispatcher = new Dispatcher([lane('cpu', { score: async () => new Float32Array(7) })]);
  const ticket = new Ticket(2);
  dispatcher.submit('live', 0, rows([1], ticket));
  dispatcher.submit('live', 0, rows([1], ticket, 1));
  await sleep(5);
  const both = new Ticket(2);
  dispatcher.submit('live', 0, rows([1, 1], both));
  await assert.rejects(both.answers, { code: 'ERR_INTERNAL' });
  await dispatcher.close();
});

test('a row too long for the budget is refused before it waits', async () => {
  const dispatcher = new Dispatcher([lane('cpu', echo(newLog()))]);
  const ticket = new Ticket(1);
  assert.throws(() => dispatcher.submit('live', 0, rows([65], ticket)), { code: 'ERR_CONFIG' });
  await dispatcher.close();
});

test('closing waits for the batch in flight, and fails what waits with ERR_CLOSED', async () => {
  const log = newLog();
  const dispatcher = new Dispatcher([lane('cpu', echo(log, 10))]);
  const [flying, waiting] = [new Ticket(1), new Ticket(1)];
  dispatcher.submit('live', 0, rows([5], flying));
  dispatcher.submit('live', 0, rows([5], waiting));
  const refused = assert.rejects(waiting.answers, { code: 'ERR_CLOSED' });
  await dispatcher.close();
  assert.deepEqual(log.batches, [1]);
  assert.equal((await flying.answers).length, 1);
  await refused;
  await dispatcher.close();
  assert.throws(() => dispatcher.submit('live', 0, new RowGroups()), { code: 'ERR_CLOSED' });
});

test('work is counted by device', async () => {
  const dispatcher = new Dispatcher([lane('cpu', echo(newLog(), 4))]);
  const ticket = new Ticket(3);
  dispatcher.submit('bulk', 0, rows([5, 6, 7], ticket));
  await ticket.answers;
  const [work] = dispatcher.work();
  assert.equal(work?.device, 'cpu');
  assert.equal(work.tokens, 18);
  assert.ok(work.busySeconds > 0.003);
  await dispatcher.close();
});

test('lanes of one device are reported as that device, busy for the mean of their times', async () => {
  const dispatcher = new Dispatcher([lane('cpu', echo(newLog(), 20), [0]), lane('cpu', echo(newLog(), 20), [1])]);
  const ticket = new Ticket(2);
  dispatcher.submit('bulk', 0, rows([3], ticket, 0));
  dispatcher.submit('bulk', 1, rows([5], ticket, 1));
  await ticket.answers;
  const work = dispatcher.work();
  assert.deepEqual(
    work.map(({ device, tokens }) => [device, tokens]),
    [['cpu', 8]],
  );
  const busy = work[0]?.busySeconds ?? NaN;
  assert.ok(busy > 0.01 && busy < 0.2, `${busy} s`);
  await dispatcher.close();
});
