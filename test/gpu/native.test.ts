import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildInfo } from '../../lib/native/engine';

const build = join(__dirname, '..', '..', 'build', 'cmake');
const isBuiltHere = existsSync(join(build, 'CMakeCache.txt'));
const { flavour, devices } = buildInfo();

/** Why a program cannot run: bench/device.sh carries them to machines that build nothing. */
function missing(program: string): string | false {
  if (!devices.some(({ device }) => device !== 'cpu')) return `no GPU: the addon is built for ${flavour}`;
  if (isBuiltHere || existsSync(join(build, program))) return false;
  return 'this addon was not built here, so nothing can be added';
}

for (const [program, sentence] of [
  ['kernels_test', 'every kernel but norms and attention gives the results of its CPU twin'],
  ['products_test', 'algorithms of a product race, and a race that fails is over'],
  ['norm_test', 'norms give the results of their CPU twin, whatever form x has'],
  ['attention_test', 'attention gives the results of its CPU twin on every path'],
  ['overflow_test', 'what f16 has no range for is computed in bf16, or has no answer'],
  ['engine_test', "the CUDA engine gives the reference's logits for every tiny model in every mode"],
] as const) {
  test(sentence, { skip: missing(program) }, (context) => {
    if (isBuiltHere) {
      const made = spawnSync('cmake', ['--build', build, '--target', program], { encoding: 'utf8' });
      assert.equal(made.status, 0, made.stdout + made.stderr);
    }
    const folder = mkdtempSync(join(tmpdir(), 'pairscore-gpu-'));
    try {
      const run = spawnSync(join(build, program), { encoding: 'utf8', env: { ...process.env, TMPDIR: folder } });
      assert.equal(run.status, 0, run.stdout + run.stderr);
      assert.match(run.stdout, /^[1-9]\d* tests, 0 failed$/m);
      for (const line of run.stdout.trim().split('\n')) context.diagnostic(line);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
