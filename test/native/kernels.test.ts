import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MOST_SHARING, tokensKept, tokensSharing } from '../../lib/model/cuda-memory';

const root = join(__dirname, '..', '..');
const build = join(root, 'build', 'cmake');
const kernels = join(root, 'native', 'kernels');

/** Every program of a machine's own, or why it is not there. */
function missing(program: string, ...args: readonly string[]): string | false {
  return spawnSync(program, args).status === 0 ? false : `no ${program} on this machine`;
}

const notBuilt = existsSync(join(build, 'CMakeCache.txt'))
  ? false
  : 'this addon was not built here, so nothing can be added';

describe('the CUDA engine without a GPU', () => {
  for (const program of ['twins_test', 'reference_test']) {
    test(`${program}: the CPU twins hold to ggml and to the libllama engine`, { skip: notBuilt }, () => {
      const made = spawnSync('cmake', ['--build', build, '--target', program], { encoding: 'utf8' });
      assert.equal(made.status, 0, made.stdout + made.stderr);
      const run = spawnSync(join(build, program), { encoding: 'utf8' });
      assert.equal(run.status, 0, run.stdout + run.stderr);
      assert.match(run.stdout, /^[1-9]\d* tests, 0 failed$/m);
    });
  }

  // After the test that builds it: two builds in one folder spoil each other's objects.
  test('no GPU has batches of more tokens than the memory estimate counts', { skip: notBuilt }, () => {
    const run = spawnSync(join(build, 'twins_test'), ['--batch-tokens'], { encoding: 'utf8' });
    assert.equal(run.status, 0, run.stderr);
    const lines = run.stdout.trim().split('\n');
    assert.ok(lines.length > 10_000, String(lines.length));
    for (const line of lines) {
      const [, maxBatchTokens = NaN, wave = NaN] = line.split(' ').map(Number);
      const counted = tokensKept(2048, { maxBatchTokens });
      const sharing = tokensSharing(2048, { maxBatchTokens });
      assert.ok(counted >= wave, `${line}: ${counted}`);
      assert.ok(
        sharing >= wave * Math.min(MOST_SHARING, Math.max(1, Math.floor(maxBatchTokens / wave))),
        `${line}: ${sharing}`,
      );
    }
  });

  for (const source of readdirSync(kernels).filter((name) => name.endsWith('.cu'))) {
    // A file for sm_90a holds instructions that no other architecture has.
    const architectures = source.includes('hopper') ? ['90a'] : ['75', '80', '90'];
    test(`${source} compiles for sm_${architectures.join(', sm_')}`, { skip: missing('nvcc', '--version') }, () => {
      const folder = mkdtempSync(join(tmpdir(), 'pairscore-kernels-'));
      const codes = architectures.flatMap((it) => ['-gencode', `arch=compute_${it},code=sm_${it}`]);
      const args = ['-std=c++17', '-I', join(root, 'native'), ...codes, '-c', join(kernels, source)];
      try {
        const run = spawnSync('nvcc', [...args, '-o', join(folder, 'kernel.o')], { encoding: 'utf8' });
        assert.equal(run.status, 0, run.stdout + run.stderr);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});
