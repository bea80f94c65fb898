import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasErrorCode } from '../../../lib/errors';
import { proportionalShares, roomFor, surround, truncate } from '../../../lib/tokens/truncate';

const ids = Int32Array.from([10, 11, 12, 13, 14, 15, 16]);

describe('truncation', () => {
  test('keeps the first, the last or both ends', () => {
    assert.deepEqual([...truncate(ids, 'right', 3)], [10, 11, 12]);
    assert.deepEqual([...truncate(ids, 'left', 3)], [14, 15, 16]);
    assert.deepEqual([...truncate(ids, 'middle', 3)], [10, 11, 16]);
    assert.deepEqual([...truncate(ids, 'middle', 4)], [10, 11, 15, 16]);
  });

  test('leaves alone what fits, and all of nothing', () => {
    for (const keep of ['right', 'left', 'middle'] as const) {
      assert.deepEqual([...truncate(ids, keep, 7)], [...ids]);
      assert.deepEqual([...truncate(ids, keep, 0)], []);
      assert.deepEqual([...truncate(new Int32Array(0), keep, 5)], []);
    }
  });

  test('keeps bos and eos whatever the maximum length', () => {
    const cut = (maxLength: number): number[] => {
      const surrounding = { bos: 2, eos: 1 };
      return [...surround(truncate(ids, 'right', roomFor(maxLength, surrounding)), surrounding)];
    };
    assert.deepEqual(cut(5), [2, 10, 11, 12, 1]);
    assert.deepEqual(cut(2), [2, 1]);
    assert.deepEqual([...surround(new Int32Array(0), { bos: 2, eos: 1 })], [2, 1]);
    assert.deepEqual([...surround(ids.subarray(0, 1), { bos: null, eos: null })], [10]);
  });

  test('refuses a maximum length below the special tokens', () => {
    assert.throws(
      () => roomFor(1, { bos: 2, eos: 1 }),
      (error) => hasErrorCode(error) && error.code === 'ERR_CONFIG' && error.message.includes('received 1'),
    );
    assert.equal(roomFor(1, { bos: 2, eos: null }), 0);
  });

  test('gives ids that share no memory with other texts', () => {
    const shared = Int32Array.from([1, 2, 3]);
    const row = surround(shared.subarray(1), { bos: null, eos: null });
    shared.fill(9);
    assert.deepEqual([...row], [2, 3]);
  });
});

describe('proportional shares', () => {
  test('add up to the budget, in proportion to the lengths', () => {
    assert.deepEqual(proportionalShares([100, 200, 300], 60), [10, 20, 30]);
    assert.deepEqual(proportionalShares([1, 1, 1], 2), [1, 1, 0]);
    assert.deepEqual(proportionalShares([5, 0, 5], 4), [2, 0, 2]);
  });

  test('never give a part more than it has', () => {
    assert.deepEqual(proportionalShares([3, 2, 1], 10), [3, 2, 1]);
    for (let budget = 0; budget < 40; budget++) {
      const lengths = [1, 17, 30];
      const shares = proportionalShares(lengths, budget);
      assert.equal(
        shares.reduce((sum, share) => sum + share, 0),
        Math.min(budget, 48),
      );
      assert.ok(shares.every((share, i) => share <= (lengths[i] ?? 0)));
    }
  });

  test('count a huge part only so far', () => {
    assert.deepEqual(proportionalShares([1_000_000, 10, 10], 20), proportionalShares([320, 10, 10], 20));
  });
});
