import assert from 'node:assert/strict';
import { chmod, copyFile, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openScorer } from '../../lib/scorer';
import type { GgufValue } from '../fixtures/gguf-writer';
import { refuses, headFile, adapterFile, put, HIDDEN, LABELS, type Head } from './bad-models';
import { demoFile } from './demo';
import { copyOfDemo, rewriteManifest } from './ensembles';

describe('files that are not what they were', () => {
  it('a changed file is ERR_MODEL_HASH', (context) =>
    refuses(context, 'llama', ({ folder }) => writeFile(join(folder, 'head.gguf'), headFile({})), {
      code: 'ERR_MODEL_HASH',
      message: /head\.gguf/,
    }));

  for (const name of [
    'base.gguf',
    'adapter.gguf',
    'head.gguf',
    'tokenizer.json',
    'tokenizer_config.json',
    'manifest.json',
  ]) {
    it(`without ${name}: ERR_MODEL_FILE`, (context) =>
      refuses(context, 'gemma', ({ folder }) => rm(join(folder, name)), {
        code: 'ERR_MODEL_FILE',
        message: new RegExp(name.replace('.', '\\.')),
      }));
  }

  it('an unreadable file is ERR_MODEL_FILE', async (context) => {
    if (process.getuid?.() === 0) {
      // root reads everything: a link to nowhere is what it cannot read
      await refuses(
        context,
        'llama',
        async ({ folder }) => {
          await rm(join(folder, 'base.gguf'));
          await symlink('nowhere', join(folder, 'base.gguf'));
        },
        { code: 'ERR_MODEL_FILE', message: /base\.gguf/ },
      );
      return;
    }
    await refuses(context, 'llama', ({ folder }) => chmod(join(folder, 'base.gguf'), 0o000), {
      code: 'ERR_MODEL_FILE',
      message: /base\.gguf/,
    });
  });
});

describe('files whose digests are right', () => {
  for (const name of ['base.gguf', 'adapter.gguf', 'head.gguf']) {
    it(`a truncated ${name} is ERR_MODEL_FILE`, (context) =>
      refuses(
        context,
        'gemma',
        async ({ folder }) => {
          const { length } = await readFile(join(folder, name));
          await truncate(join(folder, name), length - 64);
          await rewriteManifest(folder);
        },
        { code: 'ERR_MODEL_FILE', message: new RegExp(name.replace('.', '\\.')) },
      ));

    it(`a ${name} that is no GGUF is ERR_MODEL_FILE`, (context) =>
      refuses(context, 'llama', put(name, Buffer.from('{"not": "a model"}'.repeat(50))), {
        code: 'ERR_MODEL_FILE',
        message: new RegExp(name.replace('.', '\\.')),
      }));

    it(`an empty ${name} is ERR_MODEL_FILE`, (context) =>
      refuses(context, 'llama', put(name, Buffer.alloc(0)), { code: 'ERR_MODEL_FILE', message: /\.gguf/ }));
  }

  it('a tokenizer.json that is no JSON is ERR_MODEL_FILE', (context) =>
    refuses(context, 'llama', put('tokenizer.json', Buffer.from('{')), {
      code: 'ERR_MODEL_FILE',
      message: /tokenizer\.json/,
    }));
});

describe('heads', () => {
  const cases: readonly (readonly [string, Head, string])[] = [
    ['for another hidden size', { hidden: 64 }, 'ERR_MODEL_MISMATCH'],
    ['with another number of labels than the manifest', { rows: 2 }, 'ERR_MODEL_MISMATCH'],
    ['for another architecture', { architecture: { type: 'string', value: 'gemma2' } }, 'ERR_MODEL_MISMATCH'],
    ['with labels in another order', { labels: { type: 'strings', value: LABELS.toReversed() } }, 'ERR_MODEL_MISMATCH'],
    ['without score.weight', { tensorName: 'classifier.weight' }, 'ERR_MODEL_MISMATCH'],
    ['with a hidden size of the wrong type', { hiddenSize: { type: 'string', value: '128' } }, 'ERR_MODEL_FILE'],
    ['with labels of the wrong type', { labels: { type: 'uint32', value: 3 } }, 'ERR_MODEL_FILE'],
    ['with weights that are not numbers', { value: NaN }, 'ERR_MODEL_VALUES'],
    ['with infinite weights', { value: Infinity }, 'ERR_MODEL_VALUES'],
  ];
  for (const [name, head, code] of cases) {
    it(`a head ${name} is ${code}`, (context) =>
      refuses(context, 'llama', put('head.gguf', headFile(head)), {
        code,
        message: /Expected .*head\.gguf.* but|Expected .* of model demo-llama but received/,
      }));
  }

  it('a head of the right shape opens', async (context) => {
    const { folder, ensemble } = await copyOfDemo(context, 'llama');
    await put('head.gguf', headFile({}))({ folder, ensemble });
    await using scorer = await openScorer({ ensemble, threads: 1, maxLength: 256 });
    const preference = await scorer.scorePair({ prompt: 'a', responseA: 'b', responseB: 'c' });
    // All rows of the head are the same, so all answers are.
    assert.ok(Math.abs(preference.winnerModelA - 1 / 3) < 1e-6);
  });
});

describe('adapters', () => {
  it('for another architecture', (context) =>
    refuses(
      context,
      'gemma',
      async ({ folder }) => {
        await copyFile(demoFile('llama', 'adapter.gguf'), join(folder, 'adapter.gguf'));
        await rewriteManifest(folder);
      },
      { code: 'ERR_MODEL_MISMATCH', message: /adapter/ },
    ));

  it('for another size', (context) =>
    refuses(context, 'llama', put('adapter.gguf', adapterFile(96, 96), { adapterTensors: 1 }), {
      code: 'ERR_MODEL_MISMATCH',
      message: /blk\.0\.attn_v/,
    }));

  it('with an alpha of the wrong type', (context) => {
    const alpha: GgufValue = { type: 'string', value: '4' };
    const file = adapterFile(HIDDEN.llama, 64, { 'adapter.lora.alpha': alpha });
    return refuses(context, 'llama', put('adapter.gguf', file, { adapterTensors: 1 }), {
      code: 'ERR_MODEL_FILE',
      message: /alpha.*of type f32 but received str/,
    });
  });

  it('with which activations overflow: found when the weights are merged, or when a row is scored', (context) => {
    const alpha: GgufValue = { type: 'float32', value: 3e38 };
    const file = adapterFile(HIDDEN.llama, 64, { 'adapter.lora.alpha': alpha }, 1e10);
    return refuses(context, 'llama', put('adapter.gguf', file, { adapterTensors: 1 }), {
      code: 'ERR_MODEL_VALUES',
      message: /of model demo-llama but received (NaN|-?Infinity)|attn_v\.weight/,
    });
  });

  it('with another number of tensors than the manifest says', (context) =>
    refuses(context, 'llama', ({ folder }) => rewriteManifest(folder, { adapterTensors: 99 }), {
      code: 'ERR_MODEL_MISMATCH',
      message: /Expected 99 for adapterTensors of model demo-llama/,
    }));
});

describe('parts of different models', () => {
  it('the base of another architecture', (context) =>
    refuses(context, 'gemma', ({ folder }) => rewriteManifest(folder, { architecture: 'llama' }), {
      code: 'ERR_MODEL_MISMATCH',
      message: /architecture/,
    }));

  it('the tokenizer of another model', (context) =>
    refuses(
      context,
      'gemma',
      async ({ folder }) => {
        for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
          await copyFile(demoFile('llama', name), join(folder, name));
        }
        await rewriteManifest(folder);
      },
      { code: 'ERR_MODEL_MISMATCH', message: /tokenizer/ },
    ));

  it('a tokenizer whose special tokens are those of the manifest, but whose texts give other ids', (context) =>
    refuses(
      context,
      'gemma',
      async ({ folder }) => {
        const path = join(folder, 'tokenizer.json');
        const text = await readFile(path, 'utf8');
        const [from, to] = [text.indexOf('"vocab"'), text.indexOf('"merges"')];
        assert.ok(from >= 0 && to > from);
        // Neighbours change places, but for the special tokens and bytes at the start.
        const swapped = text
          .slice(from, to)
          .replace(/(?<=": ?)(\d+)/g, (id) => String(Number(id) < 350 ? id : Number(id) ^ 1));
        await writeFile(path, text.slice(0, from) + swapped + text.slice(to));
        await rewriteManifest(folder);
      },
      { code: 'ERR_TOKENIZER_MISMATCH', message: /token/ },
    ));

  it('labels in another order than the head has them', (context) =>
    refuses(context, 'llama', ({ folder }) => rewriteManifest(folder, { labels: LABELS.toReversed() }), {
      code: 'ERR_MODEL_MISMATCH',
      message: /labels/,
    }));
});
