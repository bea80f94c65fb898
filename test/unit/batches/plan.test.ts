import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { rowLengths } from '../../../bench/lengths';
import { planBatches, takeBatch, takingOrder } from '../../../lib/batches/plan';

const LIMITS = { maxBatchTokens: 4096, maxBatchSequences: 64, padding: 'counted' } as const;

test('every row stands in exactly one batch, within budget and count', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 2048 }), { maxLength: 300 });
  const limits = fc.record({
    maxBatchTokens: fc.integer({ min: 2048, max: 20000 }),
    maxBatchSequences: fc.integer({ min: 1, max: 64 }),
    padding: fc.constantFrom('counted' as const, 'none' as const),
  });
  fc.assert(
    fc.property(lengths, limits, (rows, limit) => {
      const batches = planBatches(rows, limit);
      const seen = batches.flatMap((batch) => batch.rows);
      assert.deepEqual(
        [...seen].sort((a, b) => a - b),
        rows.map((_, i) => i),
      );
      for (const batch of batches) {
        const own = batch.rows.map((row) => rows[row] ?? 0);
        assert.equal(batch.longest, Math.max(...own));
        const end = own.reduce((sum, length) => sum + length, 0);
        assert.equal(batch.paddedTokens, limit.padding === 'none' ? end : batch.longest * own.length);
        assert.ok(batch.paddedTokens <= limit.maxBatchTokens);
        assert.ok(own.length <= limit.maxBatchSequences);
      }
    }),
  );
});

test('the longest rows come first, and rows of one length keep their order', () => {
  assert.deepEqual(takingOrder([3, 9, 3, 9, 1], LIMITS), [1, 3, 0, 2, 4]);
  const batches = planBatches([10, 2000, 30, 1900], LIMITS);
  assert.deepEqual(batches[0]?.rows, [1, 3]);
  assert.deepEqual(batches[1]?.rows, [2, 0]);
});

test('a long row is not padded together with short ones', () => {
  const batches = planBatches([2000, 20, 20, 20], LIMITS);
  assert.deepEqual(
    batches.map((batch) => batch.rows),
    [[0], [1, 2, 3]],
  );
});

test('an engine that lays rows end to end gets full batches, whatever their lengths', () => {
  const batches = planBatches([2000, 1500, 300, 200, 50, 40, 6], { ...LIMITS, padding: 'none' });
  assert.deepEqual(
    batches.map(({ rows, tokens }) => [rows.length, tokens]),
    [[7, 4096]],
  );
  assert.equal(batches[0]?.longest, 2000);
  assert.equal(planBatches([2000, 2000, 97], { ...LIMITS, padding: 'none' }).length, 2);
});

test('without padding every batch has its part of all lengths, and each row is taken once', () => {
  const lengths = Array.from({ length: 4000 }, (_, i) => 1 + ((i * 7919) % 2048));
  const batches = planBatches(lengths, { ...LIMITS, maxBatchTokens: 33_792, maxBatchSequences: 512, padding: 'none' });
  assert.equal(new Set(batches.flatMap(({ rows }) => rows)).size, 4000);
  for (const { rows, tokens, longest } of batches.slice(0, -1)) {
    const mean = tokens / rows.length;
    assert.ok(mean > 800 && mean < 1250, `mean ${mean}`);
    assert.ok(longest > 1800 && Math.min(...rows.map((row) => lengths[row] ?? 0)) < 250);
    assert.ok(tokens > 33_792 - 2048);
  }
});

test('without padding later rows fill the gap that a long one leaves', () => {
  const lengths = rowLengths(5000, 2048);
  const batches = planBatches(lengths, { maxBatchTokens: 33_792, maxBatchSequences: 512, padding: 'none' });
  assert.equal(new Set(batches.flatMap(({ rows }) => rows)).size, 5000);
  const spare = batches.slice(0, -2).map(({ tokens }) => 33_792 - tokens);
  assert.ok(Math.min(...spare) >= 0 && Math.max(...spare) < 256, String(spare));
  assert.ok(spare.reduce((sum, tokens) => sum + tokens, 0) < 8 * spare.length, String(spare));
});

/** Whether some of the lengths make at most one half of the budget, and the others the other. */
function fitHalves(lengths: readonly number[], budget: number): boolean {
  let sums = new Set([0]);
  for (const length of lengths) sums = new Set([...sums, ...[...sums].map((sum) => sum + length)]);
  const all = lengths.reduce((sum, length) => sum + length, 0);
  return [...sums].some((sum) => sum <= budget / 2 && all - sum <= budget / 2);
}

test('without padding a full batch is two halves for an engine, however many lengths are alike', () => {
  const lmsys = rowLengths(600, 2048);
  const cut = lmsys.map((length, i) => (i % 5 < 2 ? 2048 : length));
  for (const [lengths, most] of [
    [lmsys.map(() => 1024), 0],
    [lmsys.map(() => 2048), 0],
    [lmsys, 0],
    [cut, 0.05],
  ] as const) {
    const batches = planBatches(lengths, { maxBatchTokens: 33_792, maxBatchSequences: 512, padding: 'none' });
    const whole = batches.slice(0, -1).map(({ rows }) => rows.map((row) => lengths[row] ?? 0));
    const third = whole.filter((rows) => !fitHalves(rows, 33_792));
    assert.ok(third.length <= most * whole.length, `${third.length} of ${whole.length} batches need a third`);
  }
});

test('rows that fill a gap are the longest that there is room for, and no more than a batch may hold', () => {
  const limits = { maxBatchTokens: 1000, maxBatchSequences: 4, padding: 'none' } as const;
  const lengths = [700, 600, 100, 90, 290, 80, 70];
  const same = (length: number): number => length;
  assert.deepEqual(takeBatch(lengths, same, limits), { batch: [700, 290], rest: [600, 100, 90, 80, 70] });
  assert.deepEqual(takeBatch([600, 600, 90, 80, 70, 60], same, limits), { batch: [600, 90, 80, 70], rest: [600, 60] });
  assert.deepEqual(takeBatch(lengths, same, { ...limits, padding: 'counted' }).batch, [700]);
});

test('padding stays under a quarter of all tokens on lengths as the data has them', () => {
  const edges = [34, 133, 196, 263, 333, 406, 481, 551, 623, 703, 782, 878, 999, 1194, 1639, 2048];
  const lengths = edges.flatMap((edge, i) =>
    Array.from({ length: 20 }, (_, k) => edge + Math.floor((((edges[i + 1] ?? edge) - edge) * k) / 20)),
  );
  const batches = planBatches(lengths, LIMITS);
  const real = batches.reduce((sum, batch) => sum + batch.tokens, 0);
  const padded = batches.reduce((sum, batch) => sum + batch.paddedTokens, 0);
  assert.ok(padded / real < 1.25, `padded ${padded} of ${real}`);
});

test('a row that exactly fills the budget makes a batch, one token more is an error that names both numbers', () => {
  assert.equal(planBatches([4096], LIMITS).length, 1);
  assert.throws(() => planBatches([5, 4097], LIMITS), { code: 'ERR_CONFIG', message: /at least 4097.*received 4096/ });
});

test('no rows make no batches', () => {
  assert.deepEqual(planBatches([], LIMITS), []);
});
