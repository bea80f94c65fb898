/** Real checkpoints that cannot be scored faithfully are refused for their reason, and leave nothing behind. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { cp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { ErrorCode } from '../../lib/errors';
import { importModel, type ImportOptions } from '../../lib/import/import-model';
import { refused } from '../unit/import/scratch';
import { fixture, inScratch, optionsFor, runImport } from './import-cases';

interface Refusal {
  readonly code?: ErrorCode;
  readonly text: RegExp;
  readonly changes: Partial<ImportOptions>;
  readonly base?: string;
}

async function refuses(
  scratch: string,
  { code = 'ERR_MODEL_MISMATCH', text, changes, base = fixture('gemma-base') }: Refusal,
): Promise<void> {
  const out = join(scratch, 'out', 'model');
  await refused(runImport(optionsFor(base, out, changes)), code, text);
  assert.equal(existsSync(out), false);
  if (existsSync(join(scratch, 'out'))) assert.deepEqual(readdirSync(join(scratch, 'out')), []);
}

const one = (name: string): readonly { path: string; weight: number }[] => [{ path: fixture(name), weight: 1 }];

describe('a checkpoint of real PEFT is refused', () => {
  for (const kind of ['gemma', 'llama']) {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['dora', /use_dora is true: DoRA is not supported/],
      ['biases', /bias is "all": trained biases are not supported/],
      ['embeddings', /embed_tokens.* trained embeddings/],
      ['resized', /embed_tokens\.weight is a base weight saved with the adapter: trained embeddings/],
      ['mlp.pt', /score\.0\.weight is a head of several layers/],
    ];
    for (const [name, text] of cases) {
      const base = fixture(`${kind}-base`);
      test(`${kind}-${name}`, () =>
        inScratch((scratch) =>
          refuses(scratch, { text, base, changes: { adapters: one(`${kind}-${name}`), alpha: 8 } }),
        ));
    }

    test(`${kind}, saved before PyTorch 1.6's zip format`, () =>
      inScratch((scratch) =>
        refuses(scratch, {
          code: 'ERR_MODEL_FILE',
          text: /bare pickle/,
          changes: { adapters: one(`${kind}-legacy.pt`), alpha: 8 },
        }),
      ));

    test(`${kind}, without a head`, () =>
      inScratch((scratch) =>
        refuses(scratch, {
          text: /Expected the weights of the head/,
          base: fixture(`${kind}-base`),
          changes: { adapters: one(`${kind}-headless.pt`), alpha: 8 },
        }),
      ));
  }

  test('of a base of another size or architecture', () =>
    inScratch((scratch) =>
      refuses(scratch, {
        text: /another base/,
        base: fixture('llama-base'),
        changes: { adapters: one('gemma-reference') },
      }),
    ));

  test('whose configuration names modules that it lacks', () =>
    inScratch(async (scratch) => {
      const copy = join(scratch, 'adapter');
      await cp(fixture('gemma-reference'), copy, { recursive: true });
      const path = join(copy, 'adapter_config.json');
      await writeFile(path, (await readFile(path, 'utf8')).replace('"q_proj"', '"q_proj", "o_proj"'));
      await refuses(scratch, {
        text: /2 are missing: model\.layers\.1\.self_attn\.o_proj/,
        changes: { adapters: [{ path: copy, weight: 1 }] },
      });
    }));

  test('as a state dict without --lora-alpha', () =>
    inScratch((scratch) =>
      refuses(scratch, { code: 'ERR_USAGE', text: /--lora-alpha/, changes: { adapters: one('gemma-state.pth') } }),
    ));

  test('when averaged with one of other modules', () =>
    inScratch((scratch) =>
      refuses(scratch, {
        text: /which the other adapters have|the same modules/,
        changes: { adapters: [...one('gemma-fold-1'), ...one('gemma-reference')] },
      }),
    ));
});

describe('an import is refused', () => {
  test('with labels of another number', () =>
    inScratch((scratch) =>
      refuses(scratch, {
        code: 'ERR_USAGE',
        text: /3 labels/,
        changes: { adapters: one('gemma-reference'), labels: ['winner_model_a', 'winner_model_b'] },
      }),
    ));

  test('with an unknown label', () =>
    inScratch((scratch) =>
      refuses(scratch, {
        code: 'ERR_USAGE',
        text: /labels of winner_model_a/,
        changes: { adapters: one('gemma-reference'), labels: ['a', 'b', 'c'] },
      }),
    ));

  test('with the tokenizer of another model', () =>
    inScratch((scratch) =>
      refuses(scratch, {
        code: 'ERR_TOKENIZER_MISMATCH',
        text: /another model/,
        changes: { adapters: one('gemma-reference'), tokenizer: fixture('llama-base') },
      }),
    ));

  test('with an unknown type', () =>
    inScratch((scratch) =>
      refuses(scratch, {
        code: 'ERR_USAGE',
        text: /--type to be one of/,
        changes: { adapters: one('gemma-reference'), type: 'q9_z' },
      }),
    ));

  test('into a folder that holds files, which it leaves alone', () =>
    inScratch(async (scratch) => {
      mkdirSync(join(scratch, 'model'));
      writeFileSync(join(scratch, 'model', 'precious'), '');
      await refused(
        runImport(optionsFor(fixture('gemma-base'), join(scratch, 'model'), { adapters: one('gemma-reference') })),
        'ERR_OUTPUT',
        /new or empty/,
      );
      assert.deepEqual(readdirSync(join(scratch, 'model')), ['precious']);
    }));

  test('of a base whose shard is truncated or missing', () =>
    inScratch(async (scratch) => {
      const base = join(scratch, 'gemma');
      await cp(fixture('gemma-base'), base, { recursive: true });
      const shard = readdirSync(base).filter((name) => name.endsWith('.safetensors'))[0] ?? '';
      await truncate(join(base, shard), 20000);
      await refuses(scratch, {
        code: 'ERR_MODEL_FILE',
        text: /truncated/,
        base,
        changes: { adapters: one('gemma-reference') },
      });
      await rm(join(base, shard));
      await refuses(scratch, {
        code: 'ERR_MODEL_FILE',
        text: /readable file/,
        base,
        changes: { adapters: one('gemma-reference') },
      });
    }));

  test('of a base with features that llama.cpp computes otherwise', () =>
    inScratch(async (scratch) => {
      const faults: readonly (readonly [string, string, RegExp])[] = [
        ['"query_pre_attn_scalar": 32', '"query_pre_attn_scalar": 33', /query_pre_attn_scalar/],
        ['"gelu_pytorch_tanh"', '"relu"', /gelu_pytorch_tanh/],
        ['"model_type": "gemma2"', '"model_type": "gemma3"', /model_type/],
        ['"num_hidden_layers": 3', '"num_hidden_layers": 4', /missing, first blk\.3/],
      ];
      for (const [i, [from, to, text]] of faults.entries()) {
        const base = join(scratch, `gemma-${i}`);
        await cp(fixture('gemma-base'), base, { recursive: true });
        const config = await readFile(join(base, 'config.json'), 'utf8');
        assert.ok(config.includes(from), from);
        await writeFile(join(base, 'config.json'), config.replaceAll(from, to));
        await refuses(scratch, { text, base, changes: { adapters: one('gemma-reference') } });
      }
    }));

  test('when aborted, and leaves nothing behind', () =>
    inScratch(async (scratch) => {
      const out = join(scratch, 'out', 'model');
      const watch = { signal: AbortSignal.abort(), onProgress: () => undefined };
      await refused(
        importModel(optionsFor(fixture('gemma-base'), out, { adapters: one('gemma-reference') }), watch),
        'ERR_ABORTED',
        /aborted/,
      );
      assert.deepEqual(readdirSync(join(scratch, 'out')), []);
    }));
});
