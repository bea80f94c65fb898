import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasErrorCode } from '../../../lib/errors';
import { placeModels, type BatchSizes, type GpuUse, type Room, type Wish } from '../../../lib/model/place';
import type { DeviceInfo } from '../../../lib/native/contract';

const GIB = 2 ** 30;
const LADDER = [[16384], [8192], [4096]];

function gpu(index: number, freeGib: number): DeviceInfo {
  return { device: `cuda:${index}`, name: 'a GPU', totalBytes: 80 * GIB, freeBytes: freeGib * GIB };
}

function machine(...freeGib: readonly number[]): Room {
  const cpu = { device: 'cpu', name: 'a CPU', totalBytes: 64 * GIB, freeBytes: 60 * GIB };
  return { machine: [cpu, ...freeGib.map((free, index) => gpu(index, free))], spareBytes: 0 };
}

/** weights in GiB, and for each 4096 tokens of a batch half a GiB. */
function wish(name: string, weights: number, ...devices: readonly string[]): Wish {
  const gpuBytes = ({ batchTokens }: GpuUse): number => (weights + batchTokens / 8192) * GIB;
  const storages = ['resident'] as const;
  return { name, devices: devices.length > 0 ? devices : ['auto'], maxLength: 2048, storages, gpuBytes };
}

const GEMMA = wish('gemma', 5.5);
const LLAMA = wish('llama', 8);

test('a machine without a GPU runs automatic models on the CPU', () => {
  assert.deepEqual(placeModels([GEMMA, LLAMA], machine(), LADDER).devices, [['cpu'], ['cpu']]);
});

test('both models stand on every GPU where they fit together, for 1, 2, 4 and 8 GPUs', () => {
  for (const count of [1, 2, 4, 8]) {
    const all = Array.from({ length: count }, (_, index) => `cuda:${index}`);
    const placement = placeModels([GEMMA, LLAMA], machine(...all.map(() => 80)), LADDER);
    assert.deepEqual(placement, { devices: [all, all], gpuWeights: ['resident', 'resident'], gpuBatchTokens: 16384 });
  }
});

test('two 16 GiB cards hold both models each, with smaller batches', () => {
  const placement = placeModels([GEMMA, LLAMA], machine(15.6, 15.6), LADDER);
  assert.deepEqual(placement.devices, [
    ['cuda:0', 'cuda:1'],
    ['cuda:0', 'cuda:1'],
  ]);
  assert.equal(placement.gpuBatchTokens, 8192);
});

test('where the models do not fit together each has a GPU of its own', () => {
  const placement = placeModels([GEMMA, LLAMA], machine(11, 12), LADDER);
  assert.deepEqual(placement.devices, [['cuda:0'], ['cuda:1']]);
  assert.equal(placement.gpuBatchTokens, 16384);
});

test('GPUs that are left take second copies', () => {
  const placement = placeModels([GEMMA, LLAMA], machine(12, 12, 12, 8), LADDER);
  assert.deepEqual(placement.devices, [
    ['cuda:1', 'cuda:3'],
    ['cuda:0', 'cuda:2'],
  ]);
});

test('among unequal GPUs the large one holds all models and the small one what it can', () => {
  const placement = placeModels([GEMMA, LLAMA], machine(80, 8), LADDER);
  assert.deepEqual(placement.devices, [['cuda:0', 'cuda:1'], ['cuda:0']]);
});

test('named devices are kept, each once, beside automatic ones', () => {
  const named = wish('gemma', 5.5, 'cuda:1', 'cpu', 'cuda:1');
  assert.deepEqual(placeModels([named, LLAMA], machine(20, 20), LADDER).devices, [
    ['cuda:1', 'cpu'],
    ['cuda:0', 'cuda:1'],
  ]);
});

test('what a named model takes is not given to an automatic one', () => {
  const named = wish('gemma', 5.5, 'cuda:1');
  assert.deepEqual(placeModels([named, LLAMA], machine(12, 12), [[16384]]).devices, [['cuda:1'], ['cuda:0']]);
});

/** Two models that can be streamed, on one GPU: how each is kept, and the batch size. */
function keptOn(free: number, batchTokens: BatchSizes): readonly unknown[] {
  const streamable = (name: string, resident: number, streamed: number): Wish => {
    const gib = (weights: string): number => (weights === 'streamed' ? streamed : resident);
    const gpuBytes = ({ batchTokens: tokens, weights }: GpuUse): number => (gib(weights) + tokens / 8192) * GIB;
    return { ...wish(name, resident), storages: ['resident', 'streamed'], gpuBytes };
  };
  const wishes = [streamable('llama', 13, 8), streamable('gemma', 16, 5)];
  const { gpuWeights, gpuBatchTokens } = placeModels(wishes, machine(free), batchTokens);
  return [...gpuWeights, gpuBatchTokens];
}

test('weights are kept small before batches are, and first those that free most', () => {
  assert.deepEqual(keptOn(80, LADDER), ['resident', 'resident', 16384]);
  assert.deepEqual(keptOn(25, LADDER), ['resident', 'streamed', 16384]);
  assert.deepEqual(keptOn(18, LADDER), ['streamed', 'streamed', 16384]);
  assert.deepEqual(keptOn(16, LADDER), ['streamed', 'streamed', 8192]);
});

test('batches as good as each other are tried before weights are kept small, the larger first', () => {
  const alike = [[16384, 8192], [4096]];
  assert.deepEqual(keptOn(33, alike), ['resident', 'resident', 16384]);
  assert.deepEqual(keptOn(31, alike), ['resident', 'resident', 8192]);
  assert.deepEqual(keptOn(22, alike), ['resident', 'streamed', 16384]);
  assert.deepEqual(keptOn(20, alike), ['resident', 'streamed', 8192]);
  assert.deepEqual(keptOn(14, alike), ['streamed', 'streamed', 4096]);
});

test('what is to be spared is spared once a GPU, and an error counts it on both sides', () => {
  const spare = (free: number): Room => ({ ...machine(free), spareBytes: GIB });
  assert.deepEqual(placeModels([GEMMA, LLAMA], spare(18.6), [[16384]]).devices, [['cuda:0'], ['cuda:0']]);
  assert.throws(() => placeModels([wish('llama', 8, 'cuda:0')], spare(10.9), [[16384]]), {
    code: 'ERR_DEVICE_MEMORY',
    message: /Expected 11\.0 GiB .* received 10\.9 GiB on cuda:0; --batch-tokens \d+ would fit/,
  });
});

test('where the user wants resident weights and they do not fit, streamed ones are named', () => {
  assert.throws(
    () => placeModels([LLAMA], machine(6), LADDER),
    /smaller quantisation, --weights streamed, or --device cpu/,
  );
});

test('a batch size that the user sets is not changed', () => {
  assert.throws(
    () => placeModels([GEMMA, LLAMA], machine(11), [[16384]]),
    (error) => hasErrorCode(error) && error.code === 'ERR_DEVICE_MEMORY',
  );
});

test('a named GPU that does not exist is refused, with or without other GPUs', () => {
  for (const free of [[], [80], [80, 80]]) {
    assert.throws(
      () => placeModels([wish('gemma', 5.5, 'cuda:7')], machine(...free), LADDER),
      (error) =>
        hasErrorCode(error) &&
        error.code === 'ERR_DEVICE_UNKNOWN' &&
        error.message.includes(['cpu', ...free.map((_, index) => `cuda:${index}`)].join(', ')) &&
        error.message.endsWith('but received cuda:7'),
    );
  }
});

test('a GPU that does not exist is refused inside a list as well', () => {
  assert.throws(() => placeModels([wish('gemma', 5.5, 'auto', 'cuda:2')], machine(80, 80), LADDER), /cuda:2/);
});

test('too little memory names need, free memory and the batch size that would fit', () => {
  assert.throws(
    () => placeModels([wish('llama', 8, 'cuda:0')], machine(9.2), [[16384]]),
    (error) =>
      hasErrorCode(error) &&
      error.code === 'ERR_DEVICE_MEMORY' &&
      error.message ===
        'Expected 10.0 GiB of free memory for model llama with batches of 16384 tokens but received 9.2 GiB on cuda:0; ' +
          '--batch-tokens 9728 would fit',
  );
});

test('where no batch is small enough the error says so and names the CPU', () => {
  assert.throws(
    () => placeModels([LLAMA], machine(6), LADDER),
    (error) =>
      hasErrorCode(error) && error.code === 'ERR_DEVICE_MEMORY' && /no batch .*--device cpu/.test(error.message),
  );
});

test('the hint, taken, places the models', () => {
  fc.assert(
    fc.property(fc.double({ min: 5, max: 30, noNaN: true }), fc.double({ min: 5, max: 30, noNaN: true }), (a, b) => {
      try {
        placeModels([GEMMA, LLAMA], machine(a, b), [[16384]]);
      } catch (error) {
        assert.ok(error instanceof Error);
        const hint = /--batch-tokens (\d+)/.exec(error.message)?.[1];
        if (hint === undefined) return;
        assert.equal(placeModels([GEMMA, LLAMA], machine(a, b), [[Number(hint)]]).gpuBatchTokens, Number(hint));
      }
    }),
  );
});

test('no GPU is ever promised more than it has, and every model stands somewhere', () => {
  const weights = fc.array(fc.double({ min: 0.1, max: 20, noNaN: true }), { minLength: 1, maxLength: 5 });
  const free = fc.array(fc.double({ min: 1, max: 90, noNaN: true }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(weights, free, (sizes, gib) => {
      const wishes = sizes.map((size, i) => wish(`m${i}`, size));
      let placement;
      try {
        placement = placeModels(wishes, machine(...gib), LADDER);
      } catch (error) {
        return assert.ok(hasErrorCode(error) && error.code === 'ERR_DEVICE_MEMORY');
      }
      const { devices, gpuBatchTokens } = placement;
      assert.ok(devices.every((places) => places.length > 0 && new Set(places).size === places.length));
      for (const [index, left] of gib.entries()) {
        const here = wishes.filter((_, i) => devices[i]?.includes(`cuda:${index}`));
        const taken = here.reduce(
          (sum, one) => sum + one.gpuBytes({ batchTokens: gpuBatchTokens, weights: 'resident' }),
          0,
        );
        assert.ok(taken <= left * GIB + 1, `cuda:${index} has ${left} GiB but was promised ${taken / GIB}`);
      }
    }),
  );
});
