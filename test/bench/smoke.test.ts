/** The bench as a user starts it, with few rows, on the demo. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { isRecord } from '../../bench/json-lines';

const ROOT = join(__dirname, '..', '..');
const CACHE = mkdtempSync(join(tmpdir(), 'pairscore-bench-'));

after(() => rmSync(CACHE, { recursive: true, force: true }));

function bench(...args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const argv = ['--import', 'tsx', join(ROOT, 'bench', 'main.ts'), '--cache', CACHE, '--device', 'cpu', ...args];
  return promisify(execFile)(process.execPath, argv, { cwd: ROOT });
}

test('two rows on the CPU give every figure, a header and what was skipped', async () => {
  const file = join(CACHE, 'bench.json');
  const { stdout } = await bench(
    '--rows',
    '2',
    '--cases',
    'ceiling,models,ensemble,end-to-end,latency',
    '--json',
    file,
  );
  assert.match(stdout, /^pairscore bench, .*commit /);
  assert.match(stdout, /skipped: ceiling: no GPU was found/);
  for (const title of ['models: one model', 'ensemble: demo-gemma', 'end to end', 'latency of scorePair']) {
    assert.ok(stdout.includes(title), `${title} in ${stdout}`);
  }
  const written: unknown = JSON.parse(readFileSync(file, 'utf8'));
  assert.ok(isRecord(written) && isRecord(written['reports']) && isRecord(written['header']));
  assert.deepEqual(Object.keys(written['reports']), ['ceiling', 'models', 'ensemble', 'end-to-end', 'latency']);
  const models = JSON.stringify(written['reports']['models']);
  assert.match(models, /"demo-gemma","cpu",4096,\d+/);
  assert.match(models, /"demo-llama","cpu",4096,\d+/);
});

test('JSON on standard output is nothing but JSON', async () => {
  const { stdout, stderr } = await bench('--rows', '1', '--cases', 'models', '--json', '-');
  const written: unknown = JSON.parse(stdout);
  assert.ok(isRecord(written));
  assert.match(stderr, /demo-llama/);
});

test('a model that does not open is skipped with its reason, and the others go on', async () => {
  const models = join(CACHE, 'models');
  cpSync(join(ROOT, 'models'), models, { recursive: true });
  truncateSync(join(models, 'demo', 'gemma', 'head.gguf'), 40);
  const { stdout } = await bench('--rows', '1', '--cases', 'models', '--ensemble', join(models, 'ensemble.json'));
  assert.match(stdout, /skipped: models: demo-gemma on cpu with batches of 4096 tokens.*: .*head\.gguf/);
  assert.match(stdout, /demo-llama +cpu +4,096/);
});

test('a GPU that does not exist ends the bench before it measures', async () => {
  await assert.rejects(bench('--device', 'cuda:63'), /cuda:63/);
});

test('--help lists the cases and starts nothing', async () => {
  const { stdout } = await bench('--help');
  assert.match(stdout, /ceiling, models, ensemble, end-to-end, latency, peers/);
});
