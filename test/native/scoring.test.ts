/** What the binding does between two calls cannot be timed from JavaScript: it has a program of its own. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(__dirname, '..', '..');
const COMPILER = process.env['CXX'] ?? 'g++';
const missing = spawnSync(COMPILER, ['--version']).status !== 0 && `no ${COMPILER} on this machine`;

test('a cancel holds for the call that is about to begin, and for no other engine', { skip: missing }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'pairscore-scoring-'));
  const program = join(folder, 'scoring_test');
  const source = join(__dirname, 'scoring_test.cc');
  try {
    const flags = ['-std=c++17', '-Wall', '-Wextra', '-Werror', '-pthread', '-I', join(ROOT, 'native')];
    const made = spawnSync(COMPILER, [...flags, source, '-o', program], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stderr);
    const run = spawnSync(program, { encoding: 'utf8' });
    assert.equal(run.status, 0, run.stdout + run.stderr);
    assert.match(run.stdout, /^4 tests, 0 failed$/m);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
