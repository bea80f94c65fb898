import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const build = join(__dirname, '..', '..', 'build', 'cmake');
const skip = existsSync(join(build, 'CMakeCache.txt'))
  ? false
  : 'this addon was not built here, so nothing can be added';

for (const [program, sentence] of [
  ['kernels_test', 'every kernel gives the results of its CPU twin'],
  ['attention_test', 'attention gives the results of its CPU twin on every path'],
  ['engine_test', "the CUDA engine gives the reference's logits for every tiny model in every mode"],
] as const) {
  test(sentence, { skip }, () => {
    const made = spawnSync('cmake', ['--build', build, '--target', program], { encoding: 'utf8' });
    assert.equal(made.status, 0, made.stdout + made.stderr);
    const folder = mkdtempSync(join(tmpdir(), 'pairscore-gpu-'));
    try {
      const run = spawnSync(join(build, program), { encoding: 'utf8', env: { ...process.env, TMPDIR: folder } });
      assert.equal(run.status, 0, run.stdout + run.stderr);
      assert.match(run.stdout, /^[1-9]\d* tests, 0 failed$/m);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}
