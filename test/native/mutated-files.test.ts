import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

// ggml aborts the process on some malformed files, so each run of mutations has a process of its own to lose.
const child = join(__dirname, 'mutate-and-open.ts');

describe('a damaged model file', () => {
  for (const model of ['gemma', 'llama'] as const) {
    for (const file of ['base', 'adapter', 'head'] as const) {
      it(`${model}/${file}.gguf with bytes changed at random opens or is refused with a code, and never crashes`, () => {
        const folder = mkdtempSync(join(tmpdir(), 'pairscore-mutated-'));
        try {
          const run = spawnSync(process.execPath, ['--import', 'tsx', child, model, file, folder, '80'], {
            encoding: 'utf8',
          });
          assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`);
          const counts: unknown = JSON.parse(run.stdout);
          assert.ok(typeof counts === 'object' && counts !== null);
          const outcomes = Object.entries(counts);
          assert.equal(
            outcomes.reduce((sum, [, count]) => sum + Number(count), 0),
            80,
          );
          for (const [code] of outcomes) assert.match(code, /^(opened|ERR_MODEL_(FILE|MISMATCH|VALUES))$/);
          assert.ok(
            outcomes.some(([code]) => code !== 'opened'),
            'no mutation was refused: the test mutates nothing',
          );
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      });
    }
  }
});
