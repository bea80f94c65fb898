import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { LoraPair } from '../../../lib/import/adapter';
import { averagePairs, normalise } from '../../../lib/import/average';
import { commonAlpha } from '../../../lib/import/adapter-write';
import { permuteRows } from '../../../lib/import/permute';

function pair(rank: number, scale: number, seed: number): LoraPair {
  const value = (i: number): number => Math.sin(seed * 100 + i);
  const a = Float32Array.from({ length: rank * 5 }, (_, i) => value(i));
  const b = Float32Array.from({ length: 3 * rank }, (_, i) => value(1000 + i));
  return { layer: 0, linear: 'q_proj', rank, scale, a, b };
}

/** scale · B·A, (3, 5) */
function product({ rank, scale, a, b }: LoraPair): readonly number[] {
  return Array.from({ length: 15 }, (_, at) => {
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += (b[Math.floor(at / 5) * rank + r] ?? NaN) * (a[r * 5 + (at % 5)] ?? NaN);
    return scale * sum;
  });
}

const share = (value: LoraPair, weight: number): { weight: number; source: string; value: readonly LoraPair[] } => ({
  weight,
  source: 'x',
  value: [value],
});

describe('averaging', () => {
  test('of deltas is the weighted sum of the products, whatever the ranks and scales', () => {
    const [x, y] = [pair(2, 0.5, 1), pair(4, 2, 2)];
    const mean = averagePairs([share(x, 0.25), share(y, 0.75)], 'deltas')[0];
    assert.ok(mean !== undefined);
    assert.equal(mean.rank, 6);
    const expected = product(x).map((value, i) => 0.25 * value + 0.75 * (product(y)[i] ?? NaN));
    for (const [i, value] of product(mean).entries()) assert.ok(Math.abs(value - (expected[i] ?? NaN)) < 1e-6);
  });

  test('of factors refuses other ranks or scales', () => {
    assert.throws(
      () => averagePairs([share(pair(2, 1, 1), 0.5), share(pair(3, 1, 2), 0.5)], 'factors'),
      /average the deltas/,
    );
    assert.throws(
      () => averagePairs([share(pair(2, 1, 1), 0.5), share(pair(2, 2, 2), 0.5)], 'factors'),
      /average the deltas/,
    );
  });

  test('of one adapter leaves it as it is', () => {
    const only = pair(2, 0.5, 1);
    assert.deepEqual(averagePairs([share(only, 1)], 'deltas'), [only]);
  });

  test('refuses weights that are negative, not finite or all zero', () => {
    for (const weights of [[-1, 2], [NaN], [Infinity, 1], [0, 0]])
      assert.throws(() => normalise(weights), /Expected adapter weights/);
    assert.deepEqual(normalise([1, 3]), [0.25, 0.75]);
  });
});

test('the alpha of an adapter file is the most common one, and never zero', () => {
  assert.equal(commonAlpha([pair(2, 4, 1), pair(4, 2, 2), pair(4, 1, 3)]), 8);
  assert.equal(commonAlpha([pair(2, 0, 1)]), 1);
  assert.equal(commonAlpha([]), 1);
});

test('permuted rows are those of llama.cpp: reshape, swap axes, reshape', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 3 }),
      (heads, half, length) => {
        const rows = Float32Array.from({ length: heads * 2 * half * length }, (_, i) => i);
        const out = permuteRows(rows, new Float32Array(rows.length), 2 * half, length);
        for (let head = 0; head < heads; head++) {
          for (let part = 0; part < 2; part++) {
            for (let i = 0; i < half; i++) {
              const from = ((head * 2 + part) * half + i) * length;
              const to = ((head * half + i) * 2 + part) * length;
              assert.deepEqual(out.subarray(to, to + length), rows.subarray(from, from + length));
            }
          }
        }
      },
    ),
  );
});
