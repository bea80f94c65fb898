/** Bases that bitsandbytes quantised: the weights that its kernels compute with, and what an adapter trained on them answers. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { dequantisedStore } from '../../lib/import/bitsandbytes';
import { openFolderWeights } from '../../lib/import/shards';
import { readAll } from '../../lib/import/tensor';
import {
  assertScores,
  fixture,
  inScratch,
  optionsFor,
  readCases,
  readGolden,
  runImport,
  tolerance,
} from './import-cases';

const { rows, cases } = readCases();

function isDigests(value: unknown): value is Readonly<Record<string, Readonly<Record<string, string>>>> {
  return typeof value === 'object' && value !== null && Object.values(value).every((item) => typeof item === 'object');
}

const golden: unknown = readGolden('bitsandbytes.json');
assert.ok(isDigests(golden));

for (const [name, digests] of Object.entries(golden)) {
  describe(name, () => {
    test('dequantises bit for bit', async () => {
      const opened = await openFolderWeights(fixture(name));
      const store = await dequantisedStore(opened);
      try {
        assert.ok([...store.tensors.keys()].every((key) => !/absmax|quant|SCB|weight_format/.test(key)));
        for (const [key, expected] of Object.entries(digests)) {
          const tensor = store.tensors.get(key);
          assert.ok(tensor, key);
          assert.equal(
            createHash('sha256')
              .update(await readAll(tensor))
              .digest('hex'),
            expected,
            key,
          );
          // In pieces, as a large tensor is read.
          const [head, tail] = [await tensor.read(0, 1024), await tensor.read(1024, tensor.byteLength - 1024)];
          assert.equal(createHash('sha256').update(head).update(tail).digest('hex'), expected, key);
        }
      } finally {
        await store.close();
      }
    });

    test('scores as transformers does on the dequantised weights', () =>
      inScratch(async (scratch) => {
        const expected = cases[name];
        assert.ok(expected?.adapter !== undefined && expected.logits !== undefined);
        const adapters = [{ path: fixture(expected.adapter), weight: 1 }];
        await runImport(optionsFor(fixture(name), join(scratch, 'model'), { adapters, type: 'f32' }));
        await assertScores(join(scratch, 'model'), { rows, logits: expected.logits }, tolerance(name));
      }));
  });
}
