import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { csvOf, start, temporaryFolder } from './program';

const root = temporaryFolder();
after(() => fs.rmSync(root, { recursive: true }));
const input = path.join(root, 'pairs.csv');
const words = 'some words that keep a model busy for a while, '.repeat(20);
fs.writeFileSync(
  input,
  csvOf(Array.from({ length: 1500 }, (_, index) => [String(index), `${words}${index}`, `${words}a`, `${words}b`])),
);
let cwd = root;
beforeEach(() => {
  cwd = fs.mkdtempSync(path.join(root, 'case-'));
  fs.writeFileSync(path.join(cwd, 'out.csv'), 'of yesterday');
});

const ARGS = ['predict', '-i', input, '-o', 'out.csv'];

function expectUntouched(): void {
  assert.deepEqual(fs.readdirSync(cwd), ['out.csv']);
  assert.equal(fs.readFileSync(path.join(cwd, 'out.csv'), 'utf8'), 'of yesterday');
}

for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} while scoring ends with ${exitCode} and nothing written`, async () => {
    const { child, says, finished } = start(ARGS, { cwd });
    await says('scoring');
    child.kill(signal);
    const asked = performance.now();
    const result = await finished;
    assert.equal(result.code, exitCode, result.stderr);
    assert.match(result.stderr, /stopped by a signal; nothing was written/);
    assert(performance.now() - asked < 5000, 'the program took its time');
    expectUntouched();
  });
}

test('a signal while the models are opened or the rows are read ends the same way', async () => {
  for (const wait of [150, 300, 450]) {
    const { child, finished } = start(ARGS, { cwd });
    await new Promise((resolve) => setTimeout(resolve, wait));
    child.kill('SIGTERM');
    const result = await finished;
    // Before the program has asked for signals the system itself ends it.
    assert(result.code === 143 || result.signal === 'SIGTERM', `${String(result.code)} ${result.stderr}`);
    expectUntouched();
  }
});

test('a second signal ends at once', async () => {
  const { child, says, finished } = start(ARGS, { cwd });
  await says('scoring');
  child.kill('SIGINT');
  child.kill('SIGINT');
  assert.equal((await finished).code, 130);
  expectUntouched();
});

test('a kill that no program survives leaves no partial output', async () => {
  const { child, says, finished } = start(ARGS, { cwd });
  await says('scoring');
  child.kill('SIGKILL');
  assert.equal((await finished).signal, 'SIGKILL');
  expectUntouched();
});
