import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { certainTokens, type Bpe } from '../../../lib/tokens/certain';

/** Byte-pair encoding as it is defined: the best pair, of equal ones the leftmost, until none is left. */
function bpeOf(merges: readonly (readonly [string, string])[]): Bpe {
  const ranks = new Map<string, number>();
  for (const [left, right] of merges) {
    const key = `${left} ${right}`;
    if (!ranks.has(key)) ranks.set(key, ranks.size);
  }
  const merge = (stretch: string): readonly string[] => {
    const tokens = Array.from(stretch);
    for (;;) {
      const rankAt = tokens.map((token, i) => ranks.get(`${token} ${tokens[i + 1] ?? ''}`) ?? Infinity);
      const best = Math.min(...rankAt);
      if (best === Infinity || tokens.length < 2) return tokens;
      const at = rankAt.indexOf(best);
      tokens.splice(at, 2, `${tokens[at] ?? ''}${tokens[at + 1] ?? ''}`);
    }
  };
  const joined = merges.map(([left, right]) => left + right);
  const vocabulary = new Set([...'abc', ...joined]);
  return { merge, has: (token) => vocabulary.has(token), longest: Math.max(...joined.map((one) => one.length), 1) };
}

/** Merges in any order: later ones may join what earlier ones make, or what only those behind them make. */
const vocabularies = fc
  .tuple(fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 1, maxLength: 10 }), fc.integer({ min: 2, max: 5 }))
  .chain(([pairs, longest]) => {
    const pieces = [...'abc'];
    const merges = pairs.map(([i, j]) => {
      const [left = 'a', right = 'b'] = [pieces[i % pieces.length], pieces[j % pieces.length]];
      if (left.length + right.length <= longest) pieces.push(left + right);
      return [left, right] as const;
    });
    const short = merges.filter(([left, right]) => left.length + right.length <= longest);
    return fc.shuffledSubarray(short, { minLength: short.length }).map(bpeOf);
  });
const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 0, maxLength: 12 });
const repetition = fc.tuple(
  fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }),
  fc.nat(12),
);
const stretch = fc
  .array(
    fc.oneof(
      letters,
      repetition.map(([unit, count]) => unit.repeat(count)),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((parts) => parts.join(''));

describe('tokens that are certain', () => {
  test('are those of the whole, whatever stands beyond what is known', () => {
    let found = 0;
    fc.assert(
      fc.property(vocabularies, stretch, fc.array(stretch, { maxLength: 4 }), (bpe, known, beyond) => {
        const first = certainTokens(bpe, known, 'first');
        const last = certainTokens(bpe, known, 'last');
        found += Number(first !== null) + Number(last !== null);
        for (const other of ['', 'a', 'b', 'c', ...beyond]) {
          if (first) assert.deepEqual(bpe.merge(known + other).slice(0, first.length), first);
          if (last) assert.deepEqual(bpe.merge(other + known).slice(-last.length), last);
        }
      }),
      { numRuns: 4000 },
    );
    assert.ok(found > 2000, `only ${found} were certain`);
  });

  test('are none where a token beyond what is known would move the borders before it', () => {
    const bpe = bpeOf([
      ['b', 'a'],
      ['b', 'b'],
      ['a', 'b'],
    ]);
    assert.deepEqual(bpe.merge('aabb'), ['a', 'a', 'bb']);
    assert.deepEqual(bpe.merge('aabbaa'), ['a', 'ab', 'ba', 'a']);
    assert.deepEqual(certainTokens(bpe, 'aabb', 'first'), ['a']);
  });

  test('are most of what is known where tokens are short', () => {
    const bpe = bpeOf([
      ['a', 'b'],
      ['ab', 'c'],
    ]);
    assert.equal(certainTokens(bpe, 'abc'.repeat(20), 'first')?.join('').length, 57);
    assert.equal(certainTokens(bpe, 'abc'.repeat(20), 'last')?.join('').length, 57);
  });

  test('are none at the end of a repetition whose grouping depends on its length', () => {
    const bpe = bpeOf([
      ['a', 'a'],
      ['aa', 'aa'],
    ]);
    assert.equal(certainTokens(bpe, 'a'.repeat(40), 'last'), null);
    assert.deepEqual(certainTokens(bpe, 'a'.repeat(40), 'first')?.slice(0, 3), ['aaaa', 'aaaa', 'aaaa']);
  });

  test('are none of less than two longest tokens', () => {
    const bpe = bpeOf([['a', 'b']]);
    assert.equal(certainTokens(bpe, 'abc', 'first'), null);
    assert.equal(certainTokens(bpe, '', 'last'), null);
  });
});
