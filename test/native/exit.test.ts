import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { it } from 'node:test';

const CHILD = join(__dirname, 'exit-while-tokenizing.ts');

// What the threads still read at that moment shows itself only under the sanitizers, most of the time.
it('process.exit() in the middle of tokenizing ends the process with its own code, five times of five', () => {
  for (let time = 0; time < 5; time += 1) {
    const { status, signal, stderr } = spawnSync(process.execPath, ['--import', 'tsx', CHILD], { encoding: 'utf8' });
    assert.deepEqual({ status, signal, stderr }, { status: 7, signal: null, stderr: '' });
  }
});
