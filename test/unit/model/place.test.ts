import assert from 'node:assert/strict';
import { test } from 'node:test';
import { placeModels, type Wish } from '../../../lib/model/place';

const GIB = 2 ** 30;

const gpus = (...free: readonly number[]) => [
  { device: 'cpu', name: 'CPU', totalBytes: 64 * GIB, freeBytes: 64 * GIB },
  ...free.map((gib, i) => ({ device: `cuda:${i}`, name: 'GPU', totalBytes: 80 * GIB, freeBytes: gib * GIB })),
];
const wish = (name: string, gib: number, ...devices: readonly string[]): Wish => ({ name, devices, bytes: gib * GIB });

const GEMMA = wish('gemma', 7, 'auto');
const LLAMA = wish('llama', 9, 'auto');

test('auto without a GPU is the CPU', () => {
  assert.deepEqual(placeModels([GEMMA, LLAMA], gpus()), [['cpu'], ['cpu']]);
});

test('models that fit together go on every GPU, any number of them', () => {
  for (const count of [1, 2, 4, 8]) {
    const all = Array.from({ length: count }, (_, i) => `cuda:${i}`);
    assert.deepEqual(placeModels([GEMMA, LLAMA], gpus(...all.map(() => 16))), [all, all]);
  }
});

test('models that do not fit together get a GPU each, the larger one the roomier', () => {
  assert.deepEqual(placeModels([GEMMA, LLAMA], gpus(8, 12)), [['cuda:0'], ['cuda:1']]);
  assert.deepEqual(placeModels([GEMMA, LLAMA], gpus(12, 8)), [['cuda:1'], ['cuda:0']]);
});

test('GPUs left over take copies of what fits', () => {
  assert.deepEqual(placeModels([GEMMA, LLAMA], gpus(12, 8, 10, 6)), [['cuda:2', 'cuda:1'], ['cuda:0']]);
});

test('a model that fits nowhere is ERR_DEVICE_MEMORY with need, free and what would help', () => {
  assert.throws(() => placeModels([LLAMA], gpus(8, 6)), {
    code: 'ERR_DEVICE_MEMORY',
    message: /9\.0 GiB.*llama.*8\.0 GiB on cuda:0.*batchTokens/,
  });
});

test('two models that share no GPU are not squeezed onto one', () => {
  assert.throws(() => placeModels([GEMMA, LLAMA], gpus(12)), { code: 'ERR_DEVICE_MEMORY', message: /gemma/ });
});

test('named devices are kept, each once, and auto works around them', () => {
  const pinned = wish('gemma', 7, 'cuda:1', 'cuda:1');
  assert.deepEqual(placeModels([pinned, LLAMA], gpus(10, 10)), [['cuda:1'], ['cuda:0']]);
  assert.deepEqual(placeModels([wish('gemma', 7, 'cpu')], gpus(10)), [['cpu']]);
});

test('a GPU that does not exist is ERR_DEVICE_UNKNOWN, never the CPU', () => {
  assert.throws(() => placeModels([wish('gemma', 7, 'cuda:2')], gpus(10, 10)), {
    code: 'ERR_DEVICE_UNKNOWN',
    message: /cpu, cuda:0, cuda:1 .*gemma but received cuda:2/,
  });
  assert.throws(() => placeModels([wish('gemma', 7, 'cuda:0')], gpus()), { code: 'ERR_DEVICE_UNKNOWN' });
});
