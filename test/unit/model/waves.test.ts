import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MOST_SHARING } from '../../../lib/model/cuda-memory';

test('as many waves are counted as the engine lets share', () => {
  const source = readFileSync(join(__dirname, '../../../native/engine/cuda/choices.cc'), 'utf8');
  assert.equal(/kMostSharing = (\d+);/.exec(source)?.[1], String(MOST_SHARING));
});
