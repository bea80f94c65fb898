import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brainBits, halfBits } from '../../../lib/import/bits';
import { toFloats } from '../../../lib/import/tensor';

function decoded(bits: number, dtype: 'F16' | 'BF16'): number {
  return toFloats(Buffer.from(Uint16Array.of(bits).buffer), dtype)[0] ?? NaN;
}

for (const [dtype, encode] of [
  ['F16', halfBits],
  ['BF16', brainBits],
] as const) {
  test(`every ${dtype} value comes back from its float`, () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = decoded(bits, dtype);
      if (Number.isNaN(value)) assert.ok(Number.isNaN(decoded(encode(value), dtype)));
      else assert.equal(encode(value), bits);
    }
  });

  test(`a float between two ${dtype} values goes to the nearest, ties to even`, () => {
    for (let bits = 1; bits < (dtype === 'F16' ? 0x7bff : 0x7f7f); bits += 7) {
      const [low, high] = [decoded(bits, dtype), decoded(bits + 1, dtype)];
      const middle = (low + high) / 2;
      assert.equal(encode(middle), bits % 2 === 0 ? bits : bits + 1);
      const step = Math.abs(high - low) / 8;
      assert.equal(encode(middle - step), bits);
      assert.equal(encode(middle + step), bits + 1);
    }
  });
}

test('halves beyond their range become infinity', () => {
  assert.equal(halfBits(65519), 0x7bff);
  assert.equal(halfBits(65520), 0x7c00);
  assert.equal(halfBits(-1e9), 0xfc00);
});
