import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openSafetensors } from '../../../lib/import/safetensors';
import { openFolderWeights } from '../../../lib/import/shards';
import { readFloats } from '../../../lib/import/tensor';
import { write } from './archive';
import { refused, scratchFolder } from './scratch';

const folder = scratchFolder();

function safetensors(header: unknown, data: Buffer): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

const two = Buffer.from(Float32Array.of(1.5, -2).buffer);
const entry = (dtype: string, shape: unknown, offsets: unknown): unknown => ({ dtype, shape, data_offsets: offsets });
const open = (header: unknown, data = two): ReturnType<typeof openSafetensors> =>
  openSafetensors(write(folder, 'file.safetensors', safetensors(header, data)));

describe('a safetensors file', () => {
  test('gives values of every floating point type', async () => {
    const half = Buffer.from(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff).buffer);
    const store = await open(
      {
        __metadata__: { format: 'pt' },
        a: entry('F16', [4], [0, 8]),
        b: entry('BF16', [2], [8, 12]),
        c: entry('F32', [], [12, 16]),
      },
      Buffer.concat([half, Buffer.from(Uint16Array.of(0x3fc0, 0xc000).buffer), two.subarray(0, 4)]),
    );
    const read = async (name: string): Promise<readonly number[]> => {
      const tensor = store.tensors.get(name);
      assert.ok(tensor);
      return [...(await readFloats(tensor))];
    };
    assert.deepEqual(await read('a'), [1, -2, 2 ** -24, 65504]);
    assert.deepEqual(await read('b'), [1.5, -2]);
    assert.deepEqual(await read('c'), [1.5]);
    await store.close();
  });
});

describe('a safetensors file is refused', () => {
  const refuses = (name: string, header: unknown, text: RegExp, data = two): void =>
    void test(name, () => refused(open(header, data), 'ERR_MODEL_FILE', text));

  refuses('when tensors overlap', { a: entry('F32', [2], [0, 8]), b: entry('F32', [1], [4, 8]) }, /overlaps/);
  refuses('when it has a hole', { a: entry('F32', [1], [4, 8]) }, /hole/);
  refuses('when it has a tail', { a: entry('F32', [1], [0, 4]) }, /tail/);
  refuses('when it is truncated', { a: entry('F32', [4], [0, 16]) }, /truncated/);
  refuses('when a shape lies', { a: entry('F32', [3], [0, 8]) }, /12 bytes/);
  refuses('when a shape is negative', { a: entry('F32', [-2, -1], [0, 8]) }, /shape/);
  refuses('when a shape is beyond counting', { a: entry('F32', [2 ** 40, 2 ** 40], [0, 8]) }, /NaN bytes/);
  refuses('when an offset is negative', { a: entry('F32', [2], [-8, 0]) }, /data_offsets/);
  refuses('when a type is unknown', { a: entry('F8_E4M3', [8], [0, 8]) }, /known dtype/);
  refuses('when a tensor is no object', { a: 1 }, /an object/);
  refuses('when the header is no JSON', '{"a":', /JSON/);
  refuses('when the header is a list', [], /JSON object/);

  test('when the header is longer than the file', () => {
    const bytes = safetensors({}, two);
    bytes.writeBigUInt64LE(1n << 62n, 0);
    return refused(openSafetensors(write(folder, 'long.safetensors', bytes)), 'ERR_MODEL_FILE', /header of at most/);
  });

  test('when it is empty, missing or a folder', async () => {
    await refused(openSafetensors(write(folder, 'empty.safetensors', '')), 'ERR_MODEL_FILE', /truncated/);
    await refused(openSafetensors(join(folder, 'nowhere')), 'ERR_MODEL_FILE', /readable file/);
    await refused(openSafetensors(folder), 'ERR_MODEL_FILE', /file/);
  });
});

describe('an index of shards', () => {
  function shards(name: string, weightMap: unknown): string {
    const path = join(folder, name);
    mkdirSync(path);
    write(path, 'model-1.safetensors', safetensors({ a: entry('F32', [2], [0, 8]) }, two));
    write(path, 'model-2.safetensors', safetensors({ b: entry('F32', [2], [0, 8]) }, two));
    write(path, 'model.safetensors.index.json', JSON.stringify({ weight_map: weightMap }));
    return path;
  }

  test('gathers the tensors of its shards', async () => {
    const store = await openFolderWeights(shards('fine', { a: 'model-1.safetensors', b: 'model-2.safetensors' }));
    assert.deepEqual([...store.tensors.keys()], ['a', 'b']);
    await store.close();
  });

  const lies: readonly (readonly [string, unknown, RegExp])[] = [
    ['up', { a: '../model-1.safetensors' }, /same folder/],
    ['absolute', { a: '/etc/passwd' }, /same folder/],
    ['windows', { a: '..\\x' }, /same folder/],
    ['dots', { a: '..' }, /same folder/],
    ['number', { a: 7 }, /same folder/],
    ['misplaced', { a: 'model-2.safetensors', b: 'model-2.safetensors' }, /missing/],
    ['missing', { a: 'model-1.safetensors', c: 'model-1.safetensors' }, /tensor c/],
    ['unlisted', { b: 'model-1.safetensors' }, /place a/],
    ['absent', { a: 'model-9.safetensors' }, /readable file/],
    ['list', [], /weight_map/],
  ];
  for (const [name, map, text] of lies) {
    test(`is refused: ${name}`, () => refused(openFolderWeights(shards(name, map)), 'ERR_MODEL_FILE', text));
  }
});
