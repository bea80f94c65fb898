import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mapAhead } from '../../../lib/batches/ahead';

const signal = new AbortController().signal;
const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

async function collect<T>(source: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}

test('results keep the order of the source, however long each takes', async () => {
  const work = async (n: number): Promise<number> => {
    await sleep((n * 7) % 5);
    return n * n;
  };
  assert.deepEqual(
    await collect(mapAhead(numbers(30), work, { most: 8, signal })),
    numbers(30).map((n) => n * n),
  );
});

test('an async source does as well', async () => {
  async function* source() {
    for (const n of numbers(10)) {
      await sleep(1);
      yield n;
    }
  }
  assert.deepEqual(await collect(mapAhead(source(), async (n) => n, { most: 3, signal })), numbers(10));
});

test('an empty source yields nothing', async () => {
  assert.deepEqual(await collect(mapAhead([], async (n) => n, { most: 3, signal })), []);
});

test('no more than the bound is in work at once', async () => {
  let running = 0;
  let most = 0;
  const work = async (n: number): Promise<number> => {
    running += 1;
    most = Math.max(most, running);
    await sleep(1);
    running -= 1;
    return n;
  };
  await collect(mapAhead(numbers(50), work, { most: 4, signal }));
  assert.equal(most, 4);
});

test('the source is not drained before somebody asks', async () => {
  const pulled: number[] = [];
  function* source() {
    for (const n of numbers(1000)) {
      pulled.push(n);
      yield n;
    }
  }
  const results = mapAhead(source(), async (n) => n, { most: 4, signal });
  assert.deepEqual(pulled, []);
  await results.next();
  assert.ok(pulled.length <= 5, `pulled ${pulled.length}`);
  await results.return();
});

test('a slow source does not hold back results that are ready', async () => {
  async function* source() {
    yield 1;
    await sleep(200);
    yield 2;
  }
  const results = mapAhead(source(), async (n) => n, { most: 4, signal });
  const started = performance.now();
  assert.equal((await results.next()).value, 1);
  assert.ok(performance.now() - started < 150);
  await results.return();
});

test('an error of the work ends it after the results before it, and the source is closed', async () => {
  let closed = false;
  function* source() {
    try {
      yield* numbers(100);
    } finally {
      closed = true;
    }
  }
  const seen: number[] = [];
  const work = async (n: number): Promise<number> => {
    if (n === 5) throw new Error('five');
    return n;
  };
  const run = async (): Promise<void> => {
    for await (const n of mapAhead(source(), work, { most: 16, signal })) seen.push(n);
  };
  await assert.rejects(run(), { message: 'five' });
  assert.deepEqual(seen, [0, 1, 2, 3, 4]);
  assert.equal(closed, true);
});

test('an error of the source ends it', async () => {
  function* source() {
    yield 1;
    throw new Error('dry');
  }
  await assert.rejects(collect(mapAhead(source(), async (n) => n, { most: 1, signal })), { message: 'dry' });
});

test('a consumer who stops closes the source', async () => {
  let closed = false;
  async function* source() {
    try {
      for (const n of numbers(100)) yield n;
    } finally {
      closed = true;
    }
  }
  for await (const n of mapAhead(source(), async (n) => n, { most: 2, signal })) if (n === 3) break;
  assert.equal(closed, true);
});

test('a signal ends it even while the source hangs', async () => {
  async function* source() {
    yield 1;
    await new Promise(() => undefined);
  }
  const controller = new AbortController();
  const results = mapAhead(source(), async (n) => n, { most: 2, signal: controller.signal });
  await results.next();
  const next = results.next();
  controller.abort('enough');
  await assert.rejects(next, { code: 'ERR_ABORTED', cause: 'enough' });
  assert.equal((await results.next()).done, true);
});
