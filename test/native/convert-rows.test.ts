/** The border's conversion of tensor rows: what it computes, and what it refuses. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasErrorCode, type ErrorCode } from '../../lib/errors';
import { convertRows } from '../../lib/native/engine';

const NONE = { a: new Float32Array(0), b: new Float32Array(0) };

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}

const values = Float32Array.from({ length: 6 * 64 }, (_, i) => Math.sin(i) * (1 + (i % 7)));
const spec = (
  from: string,
  to: string,
  columns = 64,
): { from: string; to: string; columns: number; threads: number } => ({ from, to, columns, threads: 3 });

describe('rows are converted', () => {
  test('to 8 bits and back within half a step of each block, its scale rounded to f16', async () => {
    const packed = await convertRows(spec('f32', 'q8_0'), bytesOf(values), NONE);
    assert.equal(packed.length, 6 * 2 * 34);
    const back = floatsOf(await convertRows(spec('q8_0', 'f32'), packed, NONE));
    for (let block = 0; block < values.length; block += 32) {
      const step = Math.max(...values.subarray(block, block + 32).map(Math.abs)) / 127;
      for (let i = block; i < block + 32; i++)
        assert.ok(Math.abs((back[i] ?? NaN) - (values[i] ?? NaN)) <= step * 0.57);
    }
  });

  test('alike by any number of threads', async () => {
    const results = await Promise.all(
      [1, 2, 5, 64].map((threads) => convertRows({ ...spec('f32', 'q4_0'), threads }, bytesOf(values), NONE)),
    );
    for (const result of results) assert.deepEqual(result, results[0]);
  });

  test('after a product is added', async () => {
    const a = Float32Array.from({ length: 2 * 64 }, (_, i) => i % 5);
    const b = Float32Array.from({ length: 6 * 2 }, (_, i) => i);
    const sum = floatsOf(await convertRows(spec('f32', 'f32'), bytesOf(values), { a, b }));
    for (const [i, value] of sum.entries()) {
      const [row, column] = [Math.floor(i / 64), i % 64];
      const product = (b[2 * row] ?? NaN) * (a[column] ?? NaN) + (b[2 * row + 1] ?? NaN) * (a[64 + column] ?? NaN);
      assert.ok(Math.abs(value - (values[i] ?? NaN) - product) < 1e-4);
    }
  });

  test('when there are none', async () => {
    assert.equal((await convertRows(spec('f32', 'q8_0'), new Uint8Array(0), NONE)).length, 0);
  });
});

describe('rows are refused', () => {
  const refuses = (name: string, work: () => Promise<unknown>, code: ErrorCode, text: RegExp): void =>
    void test(name, () =>
      assert.rejects(work, (error: unknown) => {
        assert.ok(hasErrorCode(error));
        assert.equal(error.code, code);
        assert.match(error.message, text);
        return true;
      }),
    );
  const bytes = bytesOf(values);
  refuses('of an unknown type', () => convertRows(spec('f33', 'f16'), bytes, NONE), 'ERR_USAGE', /type of ggml/);
  refuses(
    'of a type that was removed',
    () => convertRows(spec('f32', 'DEPRECATED'), bytes, NONE),
    'ERR_USAGE',
    /type of ggml|quantises/,
  );
  refuses(
    'to a type that needs an importance matrix',
    () => convertRows(spec('f32', 'iq2_xxs', 256), bytes.subarray(0, 1024), NONE),
    'ERR_USAGE',
    /importance matrix/,
  );
  refuses('to integers', () => convertRows(spec('f32', 'i32'), bytes, NONE), 'ERR_USAGE', /quantises to/);
  refuses('from integers', () => convertRows(spec('i32', 'f32'), bytes, NONE), 'ERR_USAGE', /into floats/);
  refuses(
    'of no whole number of blocks',
    () => convertRows(spec('f32', 'q8_0', 48), bytes, NONE),
    'ERR_USAGE',
    /multiple of 32/,
  );
  refuses(
    'cut in a row',
    () => convertRows(spec('f32', 'f16'), bytes.subarray(0, 100), NONE),
    'ERR_USAGE',
    /whole rows/,
  );
  refuses('of no columns', () => convertRows(spec('f32', 'f16', 0), bytes, NONE), 'ERR_USAGE', /at least one value/);
  refuses(
    'with factors of other sizes',
    () => convertRows(spec('f32', 'f16'), bytes, { a: new Float32Array(64), b: new Float32Array(5) }),
    'ERR_USAGE',
    /same rank/,
  );
  refuses(
    'with NaN',
    () => convertRows(spec('f32', 'q4_K', 256), bytesOf(new Float32Array(256).fill(NaN)), NONE),
    'ERR_MODEL_VALUES',
    /finite/,
  );
  refuses(
    'beyond the range of f16',
    () => convertRows(spec('f32', 'f16'), bytesOf(new Float32Array(64).fill(1e5)), NONE),
    'ERR_MODEL_VALUES',
    /65504/,
  );
});
