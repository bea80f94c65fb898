import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasErrorCode } from '../../../lib/errors';
import { addedFacts } from '../../../lib/tokens/added';
import { cutTokenizer } from '../../../lib/tokens/cut-tokenizer';
import { emptyPairs } from '../../../lib/tokens/boundaries';
import { checkRules, encodeRows, type RowRules } from '../../../lib/tokens/rows';

const facts = {
  splitting: 'unknown',
  longestToken: 1,
  longestLetters: 1,
  joinedPairs: emptyPairs(),
  added: addedFacts([]),
} as const;
/** One id a UTF-16 unit, so that ids show which characters were kept. */
const units = {
  encode: (texts: readonly string[]) =>
    Promise.resolve(texts.map((text) => Int32Array.from(text, (character) => character.charCodeAt(0)))),
};
const merger = {
  merge: () => Promise.reject(new Error('merged')),
  certain: () => Promise.reject(new Error('merged')),
};
const plain: RowRules = {
  surrounding: { bos: 60, eos: 62 },
  maxLength: 8,
  truncation: 'right',
  parts: 'together',
};

async function shown(rules: RowRules, ...rows: readonly (readonly [string, string, string])[]): Promise<string[]> {
  const tokenizer = cutTokenizer({ tokenizer: units, facts, merger, checkAborted: () => undefined });
  const lists = await encodeRows(rows, rules, tokenizer);
  return lists.map((ids) => String.fromCharCode(...ids));
}

describe('a row', () => {
  test('is one text, cut as its model says, with its special tokens around it', async () => {
    const row = ['abc', 'def', 'ghi'] as const;
    assert.deepEqual(await shown(plain, row), ['<abcdef>']);
    assert.deepEqual(await shown({ ...plain, truncation: 'left' }, row), ['<defghi>']);
    assert.deepEqual(await shown({ ...plain, truncation: 'middle' }, row), ['<abcghi>']);
    assert.deepEqual(await shown({ ...plain, maxLength: 100 }, row), ['<abcdefghi>']);
    assert.deepEqual(await shown(plain, ['', '', '']), ['<>']);
    assert.deepEqual(await shown({ ...plain, maxLength: 2 }, row), ['<>']);
  });

  test('is cut part by part under proportional truncation, and only where it is too long', async () => {
    const proportional: RowRules = { ...plain, truncation: 'proportional' };
    assert.deepEqual(
      await shown(proportional, ['abcd', 'efgh', 'ijkl'], ['ab', 'cd', 'ef'], ['abcdef', 'ghi', 'jkl'], ['', 'a', 'b']),
      ['<abefij>', '<abcdef>', '<abcghj>', '<ab>'],
    );
  });

  test('becomes three sequences of a third each where parts stand apart', async () => {
    const apart: RowRules = { ...plain, parts: 'apart', maxLength: 14 };
    assert.deepEqual(await shown(apart, ['abc', 'd', ''], ['abcdef', 'ghijkl', 'mnopqr']), [
      '<ab><d><>',
      '<ab><gh><mn>',
    ]);
    assert.deepEqual(await shown({ ...apart, truncation: 'left' }, ['abc', 'd', '']), ['<bc><d><>']);
    assert.deepEqual(await shown({ ...apart, truncation: 'proportional' }, ['abc', 'd', '']), ['<ab><d><>']);
  });

  test('needs room for its special tokens, in each sequence', () => {
    const isConfig = (error: unknown): boolean => hasErrorCode(error) && error.code === 'ERR_CONFIG';
    assert.throws(() => checkRules({ ...plain, maxLength: 1 }), isConfig);
    assert.throws(() => checkRules({ ...plain, parts: 'apart', maxLength: 5 }), isConfig);
    checkRules({ ...plain, parts: 'apart', maxLength: 6 });
  });
});

describe('a tokenizer that cuts', () => {
  test('is called with little text at a time, and stops between two calls', async () => {
    const sizes: number[] = [];
    let stop = false;
    const tokenizer = cutTokenizer({
      facts,
      merger,
      checkAborted: () => assert.ok(!stop, 'stopped'),
      tokenizer: {
        encode(texts) {
          sizes.push(texts.reduce((sum, text) => sum + text.length, 0));
          stop = sizes.length === 4;
          return units.encode(texts);
        },
      },
    });
    const texts = Array.from({ length: 100 }, () => ({ text: 'x'.repeat(50_000), keep: 'right', budget: 3 }) as const);
    await assert.rejects(tokenizer.encode(texts), /stopped/);
    assert.equal(sizes.length, 4);
    assert.ok(sizes.every((size) => size <= 1 << 19));
  });

  test('keeps both ends of a text that is walked from them', async () => {
    const tokenizer = cutTokenizer({ tokenizer: units, facts, merger, checkAborted: () => undefined });
    const text = `start${'x'.repeat(100_000)}end`;
    const cut = async (keep: 'right' | 'left' | 'middle', budget: number): Promise<string> => {
      const [ids = new Int32Array(0)] = await tokenizer.encode([{ text, keep, budget }]);
      return String.fromCharCode(...ids.subarray(0, 8), ...ids.subarray(-4));
    };
    assert.equal(await cut('right', 8), 'startxxxtxxx');
    assert.equal(await cut('left', 8), 'xxxxxendxend');
    assert.equal(await cut('middle', 10), 'startxxexend');
    assert.equal(await cut('middle', 200_000), 'startxxxxend');
  });
});
