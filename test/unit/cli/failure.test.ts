import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommanderError } from 'commander';
import { toFailure } from '../../../lib/cli/failure';
import { PairscoreError } from '../../../lib/errors';

test('an error is told in one line with its file and its code', () => {
  const error = new PairscoreError('ERR_INPUT_CSV', 'Row 2: Expected 4 columns but received 3', {
    file: 'a.csv',
    row: 2,
  });
  assert.deepEqual(toFailure(error), {
    exitCode: 3,
    text: 'pairscore: a.csv: Row 2: Expected 4 columns but received 3 [ERR_INPUT_CSV]',
  });
});

test('a file that the message names already is not named twice', () => {
  const error = new PairscoreError('ERR_MODEL_FILE', 'Expected a GGUF file in m/base.gguf', { file: 'm/base.gguf' });
  assert.equal(toFailure(error).text, 'pairscore: Expected a GGUF file in m/base.gguf [ERR_MODEL_FILE]');
});

test("an error of the addon, which has a code and no place, keeps its code's exit", () => {
  const error = Object.assign(new Error('Expected device cuda:9 but received none'), { code: 'ERR_DEVICE_UNKNOWN' });
  assert.equal(toFailure(error).exitCode, 5);
});

test('an error of no known code is a bug, told with its stack', () => {
  const failure = toFailure(new TypeError('x is not a function'));
  assert.equal(failure.exitCode, 1);
  assert.match(failure.text, /this is a bug: TypeError: x is not a function\n\s+at /);
});

test('a refused flag is a usage error, and help is none', () => {
  assert.equal(toFailure(new CommanderError(1, 'commander.unknownOption', 'unknown')).exitCode, 2);
  assert.equal(toFailure(new CommanderError(0, 'commander.helpDisplayed', 'help')).exitCode, 0);
});
