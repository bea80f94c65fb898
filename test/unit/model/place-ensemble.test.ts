/** The demo ensemble on machines that are made up: nothing is loaded, so no GPU is needed. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Compute } from '../../../lib/compute';
import { readEnsemble } from '../../../lib/model/ensemble';
import { overriddenModels } from '../../../lib/model/open-ensemble';
import { placeEnsemble, type PlacedModel } from '../../../lib/model/place-ensemble';
import type { ModelSpec } from '../../../lib/model/spec';
import type { DeviceInfo } from '../../../lib/native/contract';
import { temporaryFolder } from './folder';

const GIB = 2 ** 30;
const DEMO = join(__dirname, '..', '..', '..', 'models', 'ensemble.json');

function machine(...freeGib: readonly number[]): readonly DeviceInfo[] {
  const cpu = { device: 'cpu', name: 'a CPU', totalBytes: 8 * GIB, freeBytes: 8 * GIB };
  const gpus = freeGib.map((free, i) => ({
    device: `cuda:${i}`,
    name: '',
    totalBytes: 80 * GIB,
    freeBytes: free * GIB,
  }));
  return [cpu, ...gpus];
}

interface Wanted {
  readonly devices?: readonly string[];
  readonly maxLength?: number;
  readonly batchTokens?: number;
  readonly compute?: Compute;
}

async function place(devices: readonly DeviceInfo[], wanted: Wanted = {}): Promise<readonly PlacedModel[]> {
  const ensemble = await readEnsemble(DEMO);
  const { maxLength = null, batchTokens = null } = wanted;
  return placeEnsemble(overriddenModels(ensemble, { devices: wanted.devices ?? null, maxLength }), devices, {
    batchTokens,
    compute: wanted.compute ?? 'auto',
    weights: 'auto',
  });
}

test('without a GPU the demo goes on the CPU, and no memory of a GPU is counted', async () => {
  const placed = await place(machine());
  assert.deepEqual(
    placed.map(({ devices, gpuMemory }) => ({ devices, gpuMemory })),
    [
      { devices: ['cpu'], gpuMemory: null },
      { devices: ['cpu'], gpuMemory: null },
    ],
  );
});

test('with two GPUs both models of the demo go on both, in the largest batches', async () => {
  const placed = await place(machine(79, 79));
  for (const { devices, gpuBatchTokens, gpuMemory } of placed) {
    assert.deepEqual(devices, ['cuda:0', 'cuda:1']);
    assert.equal(gpuBatchTokens, 33792);
    const parts = (gpuMemory?.weights ?? 0) + (gpuMemory?.cache ?? 0) + (gpuMemory?.scratch ?? 0);
    assert.equal(parts, gpuMemory?.total);
  }
});

test('a small GPU gets smaller batches before it gets fewer models', async () => {
  const [gemma] = await place(machine(79));
  const need = gemma?.gpuMemory?.total ?? 0;
  const tight = await place(machine((2 * need - 1) / GIB / 1.2 + 0.5));
  assert.deepEqual(
    tight.map(({ devices }) => devices),
    [['cuda:0'], ['cuda:0']],
  );
  assert.ok((tight[0]?.gpuBatchTokens ?? 0) < 33792);
});

test("libllama's engine on a GPU keeps its own batches, with keys and values counted", async () => {
  for (const { gpuBatchTokens, gpuWeights, gpuMemory } of await place(machine(79), { compute: 'ggml' })) {
    assert.equal(gpuBatchTokens, 16384);
    assert.equal(gpuWeights, 'auto');
    assert.ok((gpuMemory?.cache ?? 0) > 0);
  }
});

test('fp8 weights are resident, whatever room there is', async () => {
  for (const { gpuWeights } of await place(machine(79), { compute: 'fp8' })) assert.equal(gpuWeights, 'resident');
});

test('devices of the options take the place of those in the file', async () => {
  const placed = await place(machine(79, 79), { devices: ['cuda:1', 'cpu'] });
  assert.deepEqual(
    placed.map(({ devices }) => devices),
    [
      ['cuda:1', 'cpu'],
      ['cuda:1', 'cpu'],
    ],
  );
});

test('a GPU that is not there is ERR_DEVICE_UNKNOWN, never the CPU', async () => {
  await assert.rejects(place(machine(), { devices: ['cuda:0'] }), { code: 'ERR_DEVICE_UNKNOWN', message: /cuda:0/ });
  await assert.rejects(place(machine(79), { devices: ['cuda:1'] }), {
    code: 'ERR_DEVICE_UNKNOWN',
    message: /cpu, cuda:0/,
  });
});

test('a GPU without room is ERR_DEVICE_MEMORY, and the CPU is named as the way out', async () => {
  await assert.rejects(place(machine(0.2)), { code: 'ERR_DEVICE_MEMORY', message: /GiB on cuda:0; .*--device cpu/ });
});

test('batch tokens of the user are kept, and the hint says which would fit', async () => {
  await assert.rejects(place(machine(1.5), { batchTokens: 65536, compute: 'ggml' }), {
    code: 'ERR_DEVICE_MEMORY',
    message: /batches of 65536 tokens .* \d\.\d GiB on cuda:0; --batch-tokens \d+ would fit/,
  });
  const [gemma] = await place(machine(79), { batchTokens: 5000 });
  assert.equal(gemma?.gpuBatchTokens, 5000);
});

test('batch tokens below the longest sequence are a wrong setting', async () => {
  await assert.rejects(place(machine(79), { batchTokens: 100 }), { code: 'ERR_CONFIG', message: /at least 2048/ });
});

describe('a model whose size cannot be told is an error, never one that weighs nothing', () => {
  /** The demo's models, the second of them with another file in place of its own. */
  async function placeWith(
    changes: Partial<ModelSpec>,
    devices: readonly string[] = ['auto'],
  ): Promise<readonly PlacedModel[]> {
    const { models } = await readEnsemble(DEMO);
    const changed = models.map((model, i) => ({
      ...model,
      devices,
      spec: i === 1 ? { ...model.spec, ...changes } : model.spec,
    }));
    return placeEnsemble(changed, machine(79), { batchTokens: null, compute: 'auto', weights: 'auto' });
  }

  test('a base that is no GGUF, one with a tensor of no known type, and files that are missing', async (context) => {
    const folder = await temporaryFolder(context);
    const [junk, odd, missing] = ['junk.gguf', 'odd.gguf', 'missing.gguf'].map((name) => join(folder, name));
    assert.ok(junk !== undefined && odd !== undefined && missing !== undefined);
    await writeFile(junk, 'not a model, but long enough to be looked at');
    const [demo] = (await readEnsemble(DEMO)).models;
    const bytes = await readFile(demo?.spec.base ?? '');
    const name = 'token_embd.weight';
    // Behind the name stand the number of dimensions, 4 bytes, two of them, 8 bytes each, and the type.
    bytes.writeUInt32LE(4, bytes.indexOf(name) + name.length + 4 + 2 * 8);
    await writeFile(odd, bytes);
    const refused = (changes: Partial<ModelSpec>, message: RegExp): Promise<void> =>
      assert.rejects(placeWith(changes), { code: 'ERR_MODEL_FILE', message });
    await refused({ base: junk }, /junk\.gguf: Expected a GGUF file/);
    await refused({ base: odd }, /odd\.gguf: Expected a known type of tensor token_embd\.weight but received 4/);
    await refused({ base: missing }, /missing\.gguf: Expected a readable file .*ENOENT/);
    await refused({ adapter: missing }, /missing\.gguf: Expected a readable file .*ENOENT/);
  });

  test('but on the CPU nothing is counted: verifying says what is wrong with its files', async () => {
    const placed = await placeWith({ base: join(__dirname, 'missing.gguf') }, ['cpu']);
    assert.deepEqual(
      placed.map(({ devices, gpuMemory }) => ({ devices, gpuMemory })),
      [0, 1].map(() => ({ devices: ['cpu'], gpuMemory: null })),
    );
  });
});
