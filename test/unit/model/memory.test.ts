import assert from 'node:assert/strict';
import { writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasErrorCode } from '../../../lib/errors';
import { factsFrom, flopsPerToken, linearShapes, readBaseFacts } from '../../../lib/model/base-facts';
import { engineLimits } from '../../../lib/model/limits';
import { estimateMemory } from '../../../lib/model/memory';
import { placeModels } from '../../../lib/model/place';

const GIB = 2 ** 30;
const DEMO = join(__dirname, '..', '..', '..', 'models', 'demo');

const GEMMA_9B = {
  architecture: 'gemma2',
  layers: 42,
  hidden: 3584,
  heads: 16,
  kvHeads: 8,
  headDim: 256,
  feedForward: 14336,
  fileBytes: 5.06 * GIB,
};
const LLAMA_8B = {
  architecture: 'llama',
  layers: 32,
  hidden: 4096,
  heads: 32,
  kvHeads: 8,
  headDim: 128,
  feedForward: 14336,
  fileBytes: 7.95 * GIB,
};

function totalOf(base: typeof GEMMA_9B, tokens: number): number {
  const files = { base, adapterBytes: 0, maxLength: 2048 };
  return estimateMemory(files, { maxBatchTokens: tokens, maxBatchSequences: 64 }).total;
}

test('the dimensions of the demo models are read from their headers', async () => {
  const facts = await readBaseFacts(join(DEMO, 'gemma', 'base.gguf'));
  assert.equal(facts.architecture, 'gemma2');
  assert.ok(facts.layers > 0 && facts.hidden > 0 && facts.headDim > 0 && facts.fileBytes > 100_000);
});

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

test('keys and values of a sequence take whole steps of cells', () => {
  const files = { base: LLAMA_8B, adapterBytes: 0, maxLength: 257 };
  const one = estimateMemory(files, { maxBatchTokens: 257, maxBatchSequences: 1 });
  assert.equal(one.cache, 512 * 32 * 2 * 8 * 128 * 2);
});

test('a larger batch never needs less', () => {
  for (const base of [GEMMA_9B, LLAMA_8B]) {
    for (let tokens = 2048; tokens < 32768; tokens += 512) {
      assert.ok(totalOf(base, tokens + 512) >= totalOf(base, tokens));
    }
  }
});

test('a batch cannot be larger than its sequences are long, whatever the user says', () => {
  const spec = { name: 'm', maxLength: 100 };
  for (const device of ['cpu', 'cuda:0']) {
    assert.deepEqual(engineLimits(spec, device, 2_000_000_000), { maxBatchTokens: 6400, maxBatchSequences: 64 });
  }
  assert.throws(() => engineLimits(spec, 'cpu', 99), { code: 'ERR_CONFIG', message: /at least 100.* received 99/ });
});

test('two 80 GiB cards hold both full-size models each at the largest batch', () => {
  const machine = [0, 1].map((i) => ({ device: `cuda:${i}`, name: '', totalBytes: 80 * GIB, freeBytes: 79 * GIB }));
  const wishes = [GEMMA_9B, LLAMA_8B].map((base) => ({
    name: base.architecture,
    devices: ['auto'],
    maxLength: 2048,
    gpuBytes: (tokens: number) => totalOf(base, tokens),
  }));
  const both = ['cuda:0', 'cuda:1'];
  assert.deepEqual(placeModels(wishes, machine, [16384, 8192]), { devices: [both, both], gpuBatchTokens: 16384 });
});

test('a header without a dimension is refused by the name of its key', () => {
  const values = new Map<string, string | number>([['general.architecture', 'llama']]);
  assert.throws(() => factsFrom(values, 'x.gguf'), /llama\.embedding_length but received nothing/);
  values.set('llama.embedding_length', -1);
  assert.throws(() => factsFrom(values, 'x.gguf'), /llama\.embedding_length but received -1/);
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
  await assert.rejects(readBaseFacts(join(folder, 'lying')), /Expected a GGUF file/);
});
