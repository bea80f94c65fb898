import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { csvOf, start, submissionOf, temporaryFolder } from './program';

const root = temporaryFolder();
after(() => fs.rmSync(root, { recursive: true }));
const ROWS = 2000;
const input = path.join(root, 'pairs.csv');
// More output than a pipe or a pair of sockets holds.
const LONG = 'x'.repeat(600);
fs.writeFileSync(
  input,
  csvOf(Array.from({ length: ROWS }, (_, index) => [`row-of-a-long-name-${LONG}-${index}`, 'p', `a${index}`, 'b'])),
);

const ARGS = ['predict', '-i', input, '-o', '-'];

test('a reader that stops reading ends the program with an output error, not a crash', async () => {
  const { child, finished } = start(ARGS, { cwd: root });
  child.stdout.once('data', () => child.stdout.destroy());
  const result = await finished;
  assert.equal(result.code, 2, result.stderr);
  assert.match(result.stderr, /standard output but received .*EPIPE.*\[ERR_OUTPUT\]/);
  assert.doesNotMatch(result.stderr, /\n\s+at /);
});

test('a reader that takes its time gets every row', async () => {
  const { child, says, finished } = start(ARGS, { cwd: root });
  child.stdout.pause();
  await says(`scoring 2,000/2,000 rows`);
  await new Promise((resolve) => setTimeout(resolve, 500));
  child.stdout.resume();
  const result = await finished;
  assert.equal(result.code, 0, result.stderr);
  assert.equal(submissionOf(result.stdout).length, ROWS);
});

test('a closed standard error does not stop the work', async () => {
  const { child, finished } = start(ARGS, { cwd: root });
  child.stderr.destroy();
  const result = await finished;
  assert.equal(result.code, 0);
  assert.equal(submissionOf(result.stdout).length, ROWS);
});
