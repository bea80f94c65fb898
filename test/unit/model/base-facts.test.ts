import assert from 'node:assert/strict';
import { writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GEMMA_9B, LLAMA_8B } from '../../../bench/synthetic/dimensions';
import { hasErrorCode } from '../../../lib/errors';
import { flopsPerToken, linearShapes, readBaseFacts, shapeFrom } from '../../../lib/model/base-facts';

test('work a token is that of the linear layers, as known of both architectures', () => {
  assert.equal((flopsPerToken(GEMMA_9B) / 1e9).toFixed(2), '16.65');
  assert.equal((flopsPerToken(LLAMA_8B) / 1e9).toFixed(2), '13.96');
  assert.deepEqual(
    linearShapes(GEMMA_9B).map(({ inputs, outputs }) => [inputs, outputs]),
    [
      [3584, 8192],
      [4096, 3584],
      [3584, 28672],
      [14336, 3584],
    ],
  );
});

test('a header without a dimension is refused by the name of its key', () => {
  const values = new Map<string, string | number>([['general.architecture', 'llama']]);
  const valueOf = (key: string): string | number | undefined => values.get(key);
  assert.throws(() => shapeFrom(valueOf, 'x.gguf'), /llama\.embedding_length but received nothing/);
  values.set('llama.embedding_length', -1);
  assert.throws(() => shapeFrom(valueOf, 'x.gguf'), /llama\.embedding_length but received -1/);
});

test('files that are missing, empty, no GGUF or cut off in the header are model file errors', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pairscore-'));
  const cut = Buffer.alloc(24);
  cut.write('GGUF');
  cut.writeUInt32LE(3, 4);
  cut.writeBigUInt64LE(5n, 16);
  const broken: readonly (readonly [string, Buffer])[] = [
    ['empty', Buffer.alloc(0)],
    ['text', Buffer.from('not a model, but long enough to be looked at')],
    ['cut', cut],
  ];
  for (const [name, bytes] of broken) writeFileSync(join(folder, name), bytes);
  for (const name of ['missing', ...broken.map(([file]) => file)]) {
    await assert.rejects(readBaseFacts(join(folder, name)), (error) => {
      return hasErrorCode(error) && error.code === 'ERR_MODEL_FILE';
    });
  }
});

test('a header that claims an absurd length is refused at once', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pairscore-'));
  const lying = Buffer.alloc(64);
  lying.write('GGUF');
  lying.writeUInt32LE(3, 4);
  lying.writeBigUInt64LE(1n, 16);
  lying.writeBigUInt64LE(2n ** 62n, 24);
  writeFileSync(join(folder, 'lying'), lying);
  await assert.rejects(readBaseFacts(join(folder, 'lying')), { code: 'ERR_MODEL_FILE', message: /Expected a length/ });
});
