import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { submissionPieces, type Answer } from '../../../lib/csv/submission';

function answer(id: string, numbers: readonly [number, number, number]): Answer {
  return { id, preference: { winnerModelA: numbers[0], winnerModelB: numbers[1], winnerTie: numbers[2] } };
}

function written(answers: readonly Answer[]): string {
  return [...submissionPieces(answers)].join('');
}

test('rows keep their order below the header', () => {
  assert.equal(
    written([answer('9', [0.5, 0.25, 0.25]), answer('1', [0.1, 0.2, 0.7])]),
    'id,winner_model_a,winner_model_b,winner_tie\n9,0.5,0.25,0.25\n1,0.1,0.2,0.7\n',
  );
});

test('no rows leave the header', () => {
  assert.equal(written([]), 'id,winner_model_a,winner_model_b,winner_tie\n');
});

test('every number and every id reads back as the same', () => {
  const number = fc.double({ min: 0, max: 1, noNaN: true });
  const rows = fc.array(fc.tuple(fc.string({ unit: 'binary', minLength: 1 }), fc.tuple(number, number, number)));
  fc.assert(
    fc.property(rows, (list) => {
      const records: unknown[] = parse(written(list.map(([id, numbers]) => answer(id, numbers))), { from: 2 });
      const expected = list.map(([id, numbers]) => [id, ...numbers.map((value) => (value === 0 ? 0 : value))]);
      const read = records.map((record) => {
        assert(Array.isArray(record));
        return record.map((value: unknown, index) => (index === 0 ? value : Number(value)));
      });
      assert.deepEqual(read, expected);
    }),
  );
});

test('many rows come in pieces of many lines, none lost', () => {
  const answers = Array.from({ length: 2500 }, (_, index) => answer(String(index), [1, 0, 0]));
  const pieces = [...submissionPieces(answers)];
  assert.equal(pieces.length, 3);
  assert.equal(pieces.join('').split('\n').length, 2502);
});
