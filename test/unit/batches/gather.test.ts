import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gather } from '../../../lib/batches/gather';
import { mapInSlices } from '../../../lib/batches/slices';

test('items of one turn are handled together, and those that come meanwhile as the next group', async () => {
  const groups: (readonly number[])[] = [];
  const gather = new Gather<number>(100, async (items) => {
    groups.push(items);
    await sleep(5);
  });
  gather.add(1);
  gather.add(2);
  await sleep(2);
  gather.add(3);
  gather.add(4);
  await gather.idle();
  assert.deepEqual(groups, [
    [1, 2],
    [3, 4],
  ]);
  gather.add(5);
  await gather.idle();
  assert.deepEqual(groups.at(-1), [5]);
});

test('an item added in the very turn in which a group ends is handled', async () => {
  // One of these many steps of the queue of microtasks meets the end of the drain.
  for (let steps = 0; steps < 12; steps += 1) {
    const handled: number[] = [];
    const ends: (() => void)[] = [];
    const gather = new Gather<number>(10, async (items) => {
      handled.push(...items);
      ends.shift()?.();
    });
    const ended = new Promise<void>((resolve) => ends.push(resolve));
    gather.add(1);
    await ended;
    for (let i = 0; i < steps; i += 1) await Promise.resolve();
    gather.add(2);
    await sleep(2);
    assert.deepEqual(handled, [1, 2], `after ${steps} steps`);
  }
});

test('a group has no more than its most', async () => {
  const sizes: number[] = [];
  const gather = new Gather<number>(3, async (items) => {
    sizes.push(items.length);
  });
  for (let i = 0; i < 8; i += 1) gather.add(i);
  await gather.idle();
  assert.deepEqual(sizes, [3, 3, 2]);
});

test('long work in slices leaves the event loop free', async () => {
  const spin = (n: number): number => {
    const until = performance.now() + 0.5;
    while (performance.now() < until);
    return n * 2;
  };
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const results = await mapInSlices(
    Array.from({ length: 300 }, (_, i) => i),
    spin,
  );
  delay.disable();
  assert.equal(results[299], 598);
  assert.ok(delay.percentile(90) < 20e6, `p90 ${delay.percentile(90) / 1e6} ms`);
});

test('work in slices stops at its signal', async () => {
  const controller = new AbortController();
  let done = 0;
  const work = mapInSlices(
    Array.from({ length: 1000 }, (_, i) => i),
    () => {
      const until = performance.now() + 1;
      while (performance.now() < until);
      done += 1;
    },
    controller.signal,
  );
  setImmediate(() => controller.abort());
  await assert.rejects(work, { code: 'ERR_ABORTED' });
  assert.ok(done < 1000);
});
