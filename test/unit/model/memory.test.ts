import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { GEMMA_9B, LLAMA_8B } from '../../../bench/synthetic/dimensions';
import { CUDA_SPARE_BYTES, estimateCudaMemory, READ_AS_STORED, type CudaStorage } from '../../../lib/model/cuda-memory';
import { hasErrorCode } from '../../../lib/errors';
import { engineLimits, gpuBatchSizes } from '../../../lib/model/limits';
import { estimateLlamaMemory } from '../../../lib/model/memory';
import { placeModels, type Placement, type Wish } from '../../../lib/model/place';
import { linearShapes, readBaseFacts } from '../../../lib/model/base-facts';
import { factsOf } from '../../fixtures/full-size';

const GIB = 2 ** 30;
const GEMMA = factsOf(GEMMA_9B);
const LLAMA = factsOf(LLAMA_8B);
const ADAPTER_BYTES = 40e6;

const filesOf = (base: typeof GEMMA) => ({ base, adapterBytes: ADAPTER_BYTES, maxLength: 2048 });

function cudaBytes(base: typeof GEMMA, tokens: number, storage: CudaStorage): number {
  const limits = engineLimits({ name: 'm', maxLength: 2048 }, 'cuda', tokens);
  return estimateCudaMemory(filesOf(base), limits, storage).total;
}

function llamaBytes(base: typeof GEMMA, tokens: number): number {
  return estimateLlamaMemory(filesOf(base), { maxBatchTokens: tokens, maxBatchSequences: 64 }).total;
}

/** Full-size models left to placing, on GPUs of so much free memory. */
function placeFullSize(bases: readonly (typeof GEMMA)[], ...freeGib: readonly number[]): Placement {
  const wishes = bases.map((base): Wish => {
    return {
      name: base.architecture,
      devices: ['auto'],
      maxLength: 2048,
      storages: ['resident', 'streamed'],
      gpuBytes: ({ batchTokens, weights }) =>
        cudaBytes(base, batchTokens, weights === 'streamed' ? 'streamed' : 'resident'),
    };
  });
  const machine = freeGib.map((free, i) => {
    return { device: `cuda:${i}`, name: '', totalBytes: free * GIB, freeBytes: free * GIB };
  });
  return placeModels(wishes, { machine, spareBytes: CUDA_SPARE_BYTES }, gpuBatchSizes([], 'cuda', null));
}

describe("libllama's memory", () => {
  test('keys and values of a sequence take whole steps of cells', () => {
    const files = { base: LLAMA, adapterBytes: 0, maxLength: 257 };
    const one = estimateLlamaMemory(files, { maxBatchTokens: 257, maxBatchSequences: 1 });
    assert.equal(one.cache, 512 * 32 * 2 * 8 * 128 * 2);
  });

  test('a larger batch never needs less', () => {
    for (const base of [GEMMA, LLAMA]) {
      for (let tokens = 2048; tokens < 32768; tokens += 512) {
        assert.ok(llamaBytes(base, tokens + 512) >= llamaBytes(base, tokens));
      }
    }
  });
});

describe("our CUDA engine's memory", () => {
  test('weights are what the engine reported on a GPU, and little more', () => {
    // docs/performance.md: resident, streamed, fp8, in GiB.
    const reported = [
      { base: GEMMA, gib: [16.2, 5.1, 8.5] },
      { base: LLAMA, gib: [13.5, 7.5, 7.0] },
    ];
    const storages = ['resident', 'streamed', 'fp8'] as const;
    for (const { base, gib } of reported) {
      for (const [i, storage] of storages.entries()) {
        const limits = engineLimits({ name: 'm', maxLength: 2048 }, 'cuda', 33_792);
        const estimate = estimateCudaMemory(filesOf(base), limits, storage).weights / GIB;
        const known = gib[i] ?? NaN;
        assert.ok(estimate > known - 0.05 && estimate < known + 0.35, `${storage}: ${estimate} GiB, ${known} reported`);
      }
    }
  });

  test('a call of many tokens needs no more than a wave of them, or two where weights are streamed, a small one less', () => {
    assert.equal(cudaBytes(GEMMA, 49_152, 'resident'), cudaBytes(GEMMA, 2_000_000, 'resident'));
    assert.equal(cudaBytes(GEMMA, 16_896, 'resident'), cudaBytes(GEMMA, 24_576, 'resident'));
    for (const storage of ['resident', 'fp8', 'streamed'] as const) {
      for (let tokens = 2048; tokens < 33_792; tokens += 512) {
        assert.ok(cudaBytes(LLAMA, tokens + 512, storage) >= cudaBytes(LLAMA, tokens, storage));
      }
      assert.ok(cudaBytes(LLAMA, 2048, storage) < cudaBytes(LLAMA, 33_792, storage));
    }
  });

  test('narrow heads are counted as wide as kernels have them', () => {
    const narrow = { ...LLAMA, headDim: 80, heads: 32 };
    const wide = { ...LLAMA, headDim: 128, heads: 32 };
    assert.equal(cudaBytes(narrow, 8448, 'resident'), cudaBytes(wide, 8448, 'resident'));
  });

  test('a format that our kernels do not read saves nothing streamed, and its embedding lies there in f32', () => {
    const limits = engineLimits({ name: 'm', maxLength: 2048 }, 'cuda', 2048);
    for (const linearType of ['q3_K', 'iq4_xs', 'f32'] as const) {
      const base = factsOf({ ...GEMMA_9B, linearType, embeddingType: linearType });
      const files = { base, adapterBytes: 0, maxLength: 2048 };
      const [resident, streamed] = (['resident', 'streamed'] as const).map((it) =>
        estimateCudaMemory(files, limits, it),
      );
      const merged = base.stored.matrices.reduce((sum, { values }) => sum + 2 * values, 0);
      const embedding = 4 * 256_000 * GEMMA_9B.hidden;
      assert.ok((streamed?.weights ?? 0) >= merged + embedding, linearType);
      assert.ok((resident?.weights ?? 0) >= merged + embedding, linearType);
      assert.ok((streamed?.total ?? 0) >= (resident?.total ?? Infinity), linearType);
    }
  });

  test('in a mixture only the matrices that our kernels read are counted as stored', () => {
    const [first, ...others] = GEMMA.stored.matrices;
    assert.ok(first);
    const type = 'q3_K' as const;
    const mixed = { ...GEMMA, stored: { ...GEMMA.stored, matrices: [{ ...first, type }, ...others] } };
    const limits = engineLimits({ name: 'm', maxLength: 2048 }, 'cuda', 33_792);
    const [plain, some] = [GEMMA, mixed].map((base) => estimateCudaMemory(filesOf(base), limits, 'streamed').weights);
    const step = 2 ** 21;
    const more = Math.ceil((2 * first.values) / step) - Math.ceil(first.bytes / step);
    assert.equal((some ?? 0) - (plain ?? 0), more * step);
  });

  test('the formats counted as stored are those that upload.cc hands to kernels, f32 apart', () => {
    const source = readFileSync(join(__dirname, '..', '..', '..', 'native/engine/cuda/upload.cc'), 'utf8');
    const read = [...source.matchAll(/case GGML_TYPE_(\w+):/g)].map(([, name = '']) => name.toLowerCase());
    const counted = [...READ_AS_STORED].map((type) => type.toLowerCase());
    assert.deepEqual(read.sort(), ['f32', ...counted].sort());
  });

  test('waves that share streamed weights keep their residual streams, and a whole layer is expanded for them', () => {
    const scratch = (tokens: number, storage: CudaStorage): number => {
      const limits = engineLimits({ name: 'm', maxLength: 2048 }, 'cuda', tokens);
      return estimateCudaMemory(filesOf(GEMMA), limits, storage).scratch;
    };
    const wave = 192 * 64;
    const stream = wave * GEMMA_9B.hidden * (4 + 2);
    assert.equal(scratch(2 * wave, 'streamed') - scratch(wave, 'streamed'), stream);
    // From here on a wave may be twice as long.
    assert.equal(scratch(2 * wave, 'resident'), scratch(wave, 'resident'));
    assert.ok(scratch(4 * wave, 'resident') > scratch(2 * wave, 'resident'));
    assert.equal(scratch(8 * wave, 'streamed'), scratch(4 * wave, 'streamed'));
    assert.equal(scratch(8 * wave, 'resident'), scratch(4 * wave, 'resident'));
    const matrices = linearShapes(GEMMA).map(({ inputs, outputs }) => inputs * outputs);
    const others = matrices.reduce((sum, values) => sum + values, 0) - Math.max(...matrices);
    assert.equal(scratch(4096, 'streamed') - scratch(4095, 'streamed'), 2 * others);
  });

  test('cosines and sines of every position are counted', () => {
    const limits = engineLimits({ name: 'm', maxLength: 131_072 }, 'cuda', 131_072);
    const [short, long] = [8192, 131_072].map((maxLength) => {
      return estimateCudaMemory({ ...filesOf(LLAMA), maxLength }, limits, 'resident').weights;
    });
    assert.equal((long ?? 0) - (short ?? 0), 2 * (131_072 - 8192) * 64 * 4);
  });

  test('a cut file, with no tensors, still costs its buffers', () => {
    const empty = { ...LLAMA, stored: { embedding: null, matrices: [] } };
    assert.ok(cudaBytes(empty, 8448, 'streamed') > GIB);
  });
});

describe('where full-size models go', () => {
  const both = ['cuda:0', 'cuda:1'];

  test('two cards of 80 GiB hold both models each, resident, in the largest calls', () => {
    assert.deepEqual(placeFullSize([GEMMA, LLAMA], 79, 79), {
      devices: [both, both],
      gpuWeights: ['resident', 'resident'],
      gpuBatchTokens: 33_792,
    });
  });

  test('two T4s hold both models each, streamed, in smaller batches', () => {
    const placement = placeFullSize([GEMMA, LLAMA], 14.6, 14.6);
    assert.deepEqual(placement.devices, [both, both]);
    assert.deepEqual(placement.gpuWeights, ['streamed', 'streamed']);
    assert.ok(placement.gpuBatchTokens >= 2048, String(placement.gpuBatchTokens));
  });

  test('two cards of 24 GB hold both models each, only the one that frees most by it streamed', () => {
    const placement = placeFullSize([GEMMA, LLAMA], 23.4, 23.4);
    assert.deepEqual(placement.devices, [both, both]);
    assert.deepEqual(placement.gpuWeights, ['streamed', 'resident']);
  });

  test('a model that streaming does not make smaller is never streamed, and is refused where it does not fit', () => {
    const base = factsOf({ ...GEMMA_9B, linearType: 'q3_K', embeddingType: 'q3_K' });
    for (let free = 1; free < 40; free++) {
      try {
        assert.deepEqual(placeFullSize([base], free).gpuWeights, ['resident']);
        assert.ok(free > 19, `${free} GiB`);
      } catch (error) {
        assert.ok(hasErrorCode(error) && error.code === 'ERR_DEVICE_MEMORY' && free < 22, String(error));
      }
    }
  });

  test('one resident model leaves the other its room on the same card', () => {
    for (const free of [14.7, 16, 20, 24, 28, 30, 32, 36, 40]) {
      const { gpuWeights, gpuBatchTokens } = placeFullSize([GEMMA, LLAMA], free);
      const taken = [GEMMA, LLAMA].reduce((sum, base, i) => {
        return sum + cudaBytes(base, gpuBatchTokens, gpuWeights[i] === 'streamed' ? 'streamed' : 'resident');
      }, CUDA_SPARE_BYTES);
      assert.ok(taken <= free * GIB, `${taken / GIB} GiB of ${free}`);
    }
  });

  test('a card that is too small for both is an error that names need and free memory', () => {
    assert.throws(() => placeFullSize([GEMMA, LLAMA], 11), {
      code: 'ERR_DEVICE_MEMORY',
      message: /Expected \d+\.\d GiB of free memory for model gemma2 .* received \d\.\d GiB on cuda:0/,
    });
  });
});

describe('limits of an engine', () => {
  test('a batch cannot be larger than its sequences are long, whatever the user says', () => {
    const spec = { name: 'm', maxLength: 100 };
    const most = { cpu: 64, ggml: 64, cuda: 512 } as const;
    for (const kind of ['cpu', 'ggml', 'cuda'] as const) {
      const padding = kind === 'cuda' ? 'none' : 'counted';
      const limits = { maxBatchTokens: 100 * most[kind], maxBatchSequences: most[kind], padding };
      assert.deepEqual(engineLimits(spec, kind, 2_000_000_000), limits);
    }
    assert.throws(() => engineLimits(spec, 'cpu', 99), { code: 'ERR_CONFIG', message: /at least 100.* received 99/ });
  });
});

test('the dimensions of the demo models are read from their headers, and what their tensors take', async () => {
  const facts = await readBaseFacts(join(__dirname, '..', '..', '..', 'models', 'demo', 'gemma', 'base.gguf'));
  assert.equal(facts.architecture, 'gemma2');
  assert.ok(facts.layers > 0 && facts.hidden > 0 && facts.headDim > 0 && facts.fileBytes > 100_000);
  assert.equal(facts.stored.matrices.length, 7 * facts.layers);
  const bytes = facts.stored.matrices.reduce((sum, one) => sum + one.bytes, facts.stored.embedding?.bytes ?? 0);
  assert.ok(bytes > 0 && bytes < facts.fileBytes);
});
