import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pairTextFromCells, pairTextFromPair, renderParts } from '../../../lib/prompt/pair-text';
import { joinTurns } from '../../../lib/prompt/turns';

const SPEC = { nullText: '', joiner: ' ', parser: 'python' } as const;
const SURROGATE = '\ufffd\ufffd\ufffd';

test('turns are joined by the joiner, a string stands for one turn', () => {
  assert.equal(joinTurns(['a', 'b'], SPEC), 'a b');
  assert.equal(joinTurns('a b', SPEC), 'a b');
  assert.equal(joinTurns([], SPEC), '');
});

test('a missing turn reads as the null text', () => {
  assert.equal(joinTurns(['a', null, 'b'], SPEC), 'a  b');
  assert.equal(joinTurns([null], { nullText: 'None', joiner: ' ' }), 'None');
});

test('a lone surrogate becomes three replacement characters, a pair stays', () => {
  assert.equal(joinTurns('\ud83c', SPEC), SURROGATE);
  assert.equal(joinTurns('\udf4d\ud83c', SPEC), SURROGATE + SURROGATE);
  assert.equal(joinTurns('🍍', SPEC), '🍍');
});

test('surrogates of two turns never become one character', () => {
  assert.equal(joinTurns(['\ud83c', '\udf4d'], { nullText: '', joiner: '' }), SURROGATE + SURROGATE);
});

test('the three parts of a row are parsed and joined, then stand behind their prefixes', () => {
  const text = pairTextFromCells({ prompt: '["a","b"]', responseA: '[null]', responseB: '["\\/"]' }, SPEC);
  assert.deepEqual(text, { prompt: 'a b', responseA: '', responseB: '\\/' });
  const parts = renderParts(text, { prompt: '<p>: ', responseA: '\n<a>: ', responseB: '\n<b>: ' });
  assert.deepEqual(parts, ['<p>: a b', '\n<a>: ', '\n<b>: \\/']);
});

test('a pair given as turns is joined without being parsed', () => {
  const text = pairTextFromPair({ prompt: '["a"]', responseA: ['x', null], responseB: [] }, SPEC);
  assert.deepEqual(text, { prompt: '["a"]', responseA: 'x ', responseB: '' });
});

test('a malformed cell names its part', () => {
  assert.throws(() => pairTextFromCells({ prompt: '[]', responseA: '[1]', responseB: '[]' }, SPEC), {
    code: 'ERR_INPUT_CELL',
    message: 'Expected a string or null at offset 1 of the cell but received "1]"',
    place: { column: 'responseA' },
  });
});
