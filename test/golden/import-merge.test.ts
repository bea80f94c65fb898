/** A LoRA merged into its base scores as the two apart. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openGguf } from '../../lib/model/gguf-file';
import { readManifest } from '../../lib/model/manifest';
import { refused } from '../unit/import/scratch';
import { assertScores, fixture, inScratch, optionsFor, readCases, runImport, tolerance } from './import-cases';

const { rows, cases } = readCases();

describe('merged', () => {
  for (const kind of ['gemma', 'llama']) {
    const name = `${kind}-patterns`;
    const expected = cases[name]?.logits ?? [];
    const adapters = [{ path: fixture(name), weight: 1 }];

    test(`into a Hugging Face folder, ${kind}`, () =>
      inScratch(async (scratch) => {
        const out = join(scratch, 'model');
        const report = await runImport(
          optionsFor(fixture(`${kind}-base`), out, { adapters, merge: true, type: 'f32' }),
        );
        assert.equal(report.lora.file, null);
        assert.equal(existsSync(join(out, 'adapter.gguf')), false);
        assert.equal((await readManifest(out)).adapter, null);
        await assertScores(out, { rows, logits: expected }, tolerance(kind));
      }));

    test(`into a GGUF, with its metadata kept, ${kind}`, () =>
      inScratch(async (scratch) => {
        const [plain, out] = [join(scratch, 'plain'), join(scratch, 'model')];
        await runImport(optionsFor(fixture(`${kind}-base`), plain, { adapters, type: 'f32' }));
        const base = join(plain, 'base.gguf');
        const tokenizer = fixture(`${kind}-base`);
        await runImport({
          ...optionsFor(base, out, { adapters, merge: true, tokenizer }),
          template: optionsFor(kind, out).template,
        });
        await assertScores(out, { rows, logits: expected }, tolerance(kind));
        const [before, after] = [await openGguf(base), await openGguf(join(out, 'base.gguf'))];
        assert.deepEqual([...after.values.keys()].sort(), [...before.values.keys()].sort());
        assert.deepEqual([...after.tensors.keys()], [...before.tensors.keys()]);
        await before.close();
        await after.close();
      }));

    test(`and rounded to 16 bits, ${kind}, stays within the 16-bit tolerance`, () =>
      inScratch(async (scratch) => {
        const out = join(scratch, 'model');
        await runImport(optionsFor(fixture(`${kind}-base`), out, { adapters, merge: true, type: 'f16' }));
        await assertScores(out, { rows, logits: expected }, 5e-3);
      }));
  }

  test('with --type but neither a folder nor --merge is refused', () =>
    inScratch(async (scratch) => {
      const plain = join(scratch, 'plain');
      const adapters = [{ path: fixture('llama-reference'), weight: 1 }];
      await runImport(optionsFor(fixture('llama-base'), plain, { adapters }));
      await refused(
        runImport(optionsFor(join(plain, 'base.gguf'), join(scratch, 'x'), { adapters, type: 'q8_0' })),
        'ERR_USAGE',
        /used as it is/,
      );
    }));
});

describe('a GGUF base', () => {
  test('is used as it is, byte for byte, under the digest of the manifest', () =>
    inScratch(async (scratch) => {
      const [plain, out] = [join(scratch, 'plain'), join(scratch, 'model')];
      const adapters = [{ path: fixture('llama-reference'), weight: 1 }];
      await runImport(optionsFor(fixture('llama-base'), plain, { adapters, type: 'f32' }));
      const report = await runImport(
        optionsFor(join(plain, 'base.gguf'), out, { adapters, tokenizer: fixture('llama-base') }),
      );
      assert.equal(report.base.plan, 'as it is');
      assert.equal((await readManifest(out)).sha256['base.gguf'], (await readManifest(plain)).sha256['base.gguf']);
      await assertScores(out, { rows, logits: cases['llama-reference']?.logits }, tolerance('llama'));
    }));
});
