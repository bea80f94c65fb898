import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packBatch, unpackLogits } from '../../../lib/batches/pack';

test('rows stand end to end, offsets around them', () => {
  const { tokens, offsets } = packBatch([Int32Array.of(1, 2, 3), Int32Array.of(), Int32Array.of(4)]);
  assert.deepEqual([...tokens], [1, 2, 3, 4]);
  assert.deepEqual([...offsets], [0, 3, 3, 4]);
});

test('no rows pack to one offset', () => {
  assert.deepEqual([...packBatch([]).offsets], [0]);
});

test('logits return row by row, as copies', () => {
  const logits = Float32Array.of(1, 2, 3, 4, 5, 6);
  const rows = unpackLogits(logits, 2);
  logits.fill(0);
  assert.deepEqual(
    rows.map((row) => [...row]),
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
  );
});

test('logits that are no multiple of the rows are refused', () => {
  assert.throws(() => unpackLogits(new Float32Array(7), 2), { code: 'ERR_INTERNAL' });
});
