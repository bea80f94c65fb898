import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tokensKept } from '../../../lib/model/cuda-memory';

test('as many waves are counted as the engine lets share', () => {
  const read = (file: string): string => readFileSync(join(__dirname, '..', '..', '..', file), 'utf8');
  const [, counted] = /MOST_SHARING = (\d+);/.exec(read('lib/model/cuda-memory.ts')) ?? [];
  const [, shared] = /kMostSharing = (\d+);/.exec(read('native/engine/cuda/choices.cc')) ?? [];
  assert.ok(counted !== undefined && counted === shared, `${counted} and ${shared}`);
});

test('no GPU has a wave of more tokens than are counted', () => {
  // batch_tokens of native/engine/cuda/packing.cc, held to the same figures by twins_test.
  const waveOf = (call: number, longest: number, multiprocessors: number): number => {
    const filling = Math.floor(multiprocessors / 2) * 128;
    return Math.max(Math.min(call, call >= 4 * filling ? 2 * filling : filling), longest);
  };
  assert.deepEqual([waveOf(33_792, 2048, 132), waveOf(33_791, 2048, 132)], [16_896, 8448]);
  assert.deepEqual([waveOf(33_792, 2048, 148), waveOf(4224, 2048, 40)], [9472, 2560]);
  for (let multiprocessors = 2; multiprocessors <= 192; multiprocessors += 2) {
    for (let call = 2048; call <= 131_072; call += 1024) {
      const counted = tokensKept(2048, { maxBatchTokens: call });
      assert.ok(counted >= waveOf(call, 2048, multiprocessors), `${multiprocessors} with calls of ${call}`);
    }
  }
});
