/** A head that lies in the base folder, as full training leaves it: no adapter is needed. */

import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readManifest } from '../../lib/model/manifest';
import { fixture, inScratch, optionsFor, readCases, runImport, scoreFolder } from './import-cases';

const { rows } = readCases();

/** The llama fixture with a head among its weights. */
async function withHead(folder: string, head: Float32Array): Promise<string> {
  await cp(fixture('llama-base'), folder, { recursive: true });
  const path = join(folder, 'model.safetensors');
  const file = await readFile(path);
  const length = Number(file.readBigUInt64LE(0));
  const data = file.subarray(8 + length);
  const header: unknown = JSON.parse(file.toString('utf8', 8, 8 + length));
  assert.ok(typeof header === 'object' && header !== null);
  const entry = {
    dtype: 'F32',
    shape: [3, head.length / 3],
    data_offsets: [data.length, data.length + head.byteLength],
  };
  const text = Buffer.from(JSON.stringify({ ...header, 'score.weight': entry }));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  await writeFile(path, Buffer.concat([size, text, data, Buffer.from(head.buffer)]));
  return folder;
}

test('a head in the base folder is used, and logits are linear in it', () =>
  inScratch(async (scratch) => {
    const one = Float32Array.from({ length: 192 }, (_, i) => Math.sin(i));
    const two = Float32Array.from({ length: 192 }, (_, i) => Math.cos(3 * i));
    const logits: (readonly (readonly number[])[])[] = [];
    for (const [i, head] of [one, two, one.map((value, j) => value + (two[j] ?? NaN))].entries()) {
      const out = join(scratch, `model-${i}`);
      const report = await runImport(
        optionsFor(await withHead(join(scratch, `llama-${i}`), head), out, { type: 'f32' }),
      );
      assert.deepEqual([report.lora.file, report.lora.pairs, (await readManifest(out)).adapterTensors], [null, 0, 0]);
      logits.push(await scoreFolder(out, rows));
    }
    for (const [i, sum] of (logits[2] ?? []).flat().entries()) {
      const apart = (logits[0] ?? []).flat()[i] ?? NaN;
      assert.ok(Math.abs(apart + ((logits[1] ?? []).flat()[i] ?? NaN) - sum) < 1e-4);
      assert.ok(Math.abs(apart) > 1e-3);
    }
  }));

test("an adapter's head goes before the base's", () =>
  inScratch(async (scratch) => {
    const adapters = [{ path: fixture('llama-reference'), weight: 1 }];
    const base = await withHead(join(scratch, 'llama'), new Float32Array(192).fill(1));
    const report = await runImport(optionsFor(base, join(scratch, 'own'), { adapters, type: 'f32' }));
    assert.deepEqual(
      report.keys.filter(({ key }) => key === 'score.weight').map(({ fate }) => fate),
      ['ignored'],
    );
    await runImport(optionsFor(fixture('llama-base'), join(scratch, 'plain'), { adapters, type: 'f32' }));
    assert.deepEqual(await scoreFolder(join(scratch, 'own'), rows), await scoreFolder(join(scratch, 'plain'), rows));
  }));
