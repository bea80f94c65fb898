import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { CellParser } from '../../../lib/model/spec';
import { parseCell } from '../../../lib/prompt/cell';
import { slowness } from '../../fixtures/machine';

const GOLDEN = path.join(__dirname, '../../fixtures/prompt/python-cells.json');
const CELL_ERROR = { name: 'PairscoreError', code: 'ERR_INPUT_CELL' };
const SURROGATE = '\ufffd\ufffd\ufffd';

/** What the parser makes of a cell: its turns, or 'error' for a cell that it refuses in the documented way. */
function outcome(cell: string, parser: CellParser): unknown {
  try {
    return parseCell(cell, parser);
  } catch (error) {
    assert(error instanceof Error && 'code' in error, String(error));
    assert.equal(error.code, 'ERR_INPUT_CELL');
    assert.match(error.message, /^Expected .+ at offset \d+ of the cell but received .+$/s);
    return 'error';
  }
}

function bareJson(cell: string): unknown {
  try {
    const value: unknown = JSON.parse(cell);
    if (value === null) return [null];
    const isList = Array.isArray(value) && value.every((turn) => typeof turn === 'string' || turn === null);
    return isList ? value : 'error';
  } catch {
    return 'error';
  }
}

test('python reads every golden cell as eval in CPython does, or refuses what eval refuses', () => {
  const golden: unknown = JSON.parse(fs.readFileSync(GOLDEN, 'utf8'));
  assert(Array.isArray(golden) && golden.length > 400);
  for (const entry of golden) {
    assert(Array.isArray(entry));
    const cell: unknown = entry[0];
    const turns: unknown = entry[1];
    assert(typeof cell === 'string');
    const expected = typeof turns === 'string' ? 'error' : turns;
    assert.deepEqual(outcome(cell, 'python'), expected, JSON.stringify(cell));
  }
});

test('json agrees with JSON.parse on lists of strings and nulls, and on broken ones', () => {
  const turns = fc.array(fc.option(fc.string({ unit: 'binary' }), { nil: null }));
  const scraps = fc.constantFrom(
    '[',
    ']',
    '"',
    '\\',
    ',',
    'null',
    ' ',
    '\n',
    '\t',
    '\\u00e9',
    '\\ud83c',
    'a',
    '\\/',
    'true',
    '1',
  );
  const cells = fc.oneof(
    turns.map((list) => JSON.stringify(list)),
    fc.array(scraps, { maxLength: 12 }).map((list) => list.join('')),
    fc.array(scraps, { maxLength: 8 }).map((list) => `["${list.join('')}"]`),
  );
  fc.assert(
    fc.property(cells, (cell) => assert.deepEqual(outcome(cell, 'json'), bareJson(cell))),
    { numRuns: 3000 },
  );
});

const TABLE: readonly (readonly [string, unknown, unknown, unknown])[] = [
  ['["a\\/b"]', ['a\\/b'], ['a/b'], ['a\\/b']],
  ['["\\ud83c\\udf4d"]', [SURROGATE + SURROGATE], ['🍍'], ['\\ud83c\\udf4d']],
  ['["caf\\u00e9\\n"]', ['café\n'], ['café\n'], ['caf\\u00e9\\n']],
  ['[null]', [null], [null], ['null']],
  ['["a",null,"b"]', ['a', null, 'b'], ['a', null, 'b'], ['a",null,"b']],
  ['[]', [], [], ['']],
  ['["a\tb"]', ['a\tb'], 'error', ['a\tb']],
  ['["a\nb"]', 'error', 'error', ['a\nb']],
  [String.raw`["\x41\101\a\v\'"]`, ["AA\x07\v'"], 'error', [String.raw`\x41\101\a\v\'`]],
  ["['it']", ['it'], 'error', ["'it'"]],
  ['["a",]', ['a'], 'error', ['a",']],
  ['["a" "b"]', ['ab'], 'error', ['a" "b']],
  ['[true]', 'error', 'error', ['true']],
  ['[false]', 'error', 'error', ['false']],
];

test('every parser changes the text exactly as the table of the data says', () => {
  for (const [cell, python, json, strip] of TABLE) {
    assert.deepEqual(outcome(cell, 'python'), python, `python ${cell}`);
    assert.deepEqual(outcome(cell, 'json'), json, `json ${cell}`);
    assert.deepEqual(outcome(cell, 'strip'), strip, `strip ${cell}`);
    assert.deepEqual(outcome(cell, 'text'), [cell], `text ${cell}`);
  }
});

test('strip takes several brackets and quotes from the ends, as str.strip does', () => {
  assert.deepEqual(parseCell('[["a","b"]]', 'strip'), ['a', 'b']);
  assert.deepEqual(parseCell('["\\"quoted\\"","x"]', 'strip'), ['\\"quoted\\', 'x']);
  assert.deepEqual(parseCell('["[1]"]', 'strip'), ['[1]']);
  assert.deepEqual(parseCell('', 'strip'), ['']);
});

test('a None is refused as a join of it would be', () => {
  assert.throws(() => parseCell('[None]', 'python'), CELL_ERROR);
});

test('a refused cell says where, what was expected and what stood there', () => {
  assert.throws(() => parseCell('["a", true]', 'python'), {
    ...CELL_ERROR,
    message: 'Expected a string or null at offset 6 of the cell but received "true]"',
  });
  assert.throws(() => parseCell('["a"', 'json'), {
    ...CELL_ERROR,
    message: 'Expected , or ] at offset 4 of the cell but received the end of the cell',
  });
});

test('a message never carries a whole long cell', () => {
  const cell = `["a" ${'x'.repeat(100_000)}`;
  assert.throws(
    () => parseCell(cell, 'python'),
    (error: Error) => error.message.length < 200,
  );
});

test('no text is executed', () => {
  assert.throws(() => parseCell('__import__("os").getcwd()', 'python'), CELL_ERROR);
  assert.throws(() => parseCell('["a".upper()]', 'python'), CELL_ERROR);
});

const MEGABYTES = 10 * 1024 * 1024;
const LONG: readonly (readonly [string, string])[] = [
  ['plain text', `["${'abcdefgh '.repeat(MEGABYTES / 9)}"]`],
  ['escapes', `["${'\\n'.repeat(MEGABYTES / 2)}"]`],
  ['escaped astral characters', `["${'\\ud83c\\udf4d'.repeat(MEGABYTES / 12)}"]`],
  ['short turns', `[${'"a",'.repeat(MEGABYTES / 4)}"b"]`],
  ['adjacent strings', `[${'"a" '.repeat(MEGABYTES / 4)}]`],
  ['an unclosed string', `["${'a'.repeat(MEGABYTES)}`],
  ['opening brackets', '['.repeat(MEGABYTES)],
  ['backslashes', '\\'.repeat(MEGABYTES)],
  ['letters', 'é'.repeat(MEGABYTES)],
  ['hashes', '#'.repeat(MEGABYTES)],
  ['blanks and comments', '[ #\n'.repeat(MEGABYTES / 4)],
  ['line ends inside a list', `[${'\n'.repeat(MEGABYTES)}]`],
  ['line ends', '\n'.repeat(MEGABYTES)],
];

/** Milliseconds of CPU time, best of three: other processes share the machine, and the collector has its threads. */
/** A limit of a second is so many on this machine. */
const slow = slowness();

function fastest(cell: string, parser: CellParser): number {
  const times = [1, 2, 3, 4, 5, 6].map(() => {
    const start = process.cpuUsage();
    outcome(cell, parser);
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  });
  return Math.min(...times);
}

for (const [what, cell] of LONG) {
  test(`a cell of 10 MB of ${what} takes less than a second a parser`, () => {
    for (const parser of ['python', 'json', 'strip', 'text'] as const) {
      const milliseconds = fastest(cell, parser);
      assert(milliseconds < 1000 * slow, `${parser} took ${milliseconds.toFixed(0)} ms`);
    }
  });
}
