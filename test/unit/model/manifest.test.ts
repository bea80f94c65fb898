import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readManifest } from '../../../lib/model/manifest';
import { makeModelFolder, manifestFacts, temporaryFolder } from './folder';

test('a manifest becomes a frozen spec with absolute paths', async (context) => {
  const folder = await makeModelFolder(await temporaryFolder(context));
  const spec = await readManifest(folder);
  assert.equal(spec.base, join(folder, 'base.gguf'));
  assert.equal(spec.tokenizer, folder);
  assert.equal(spec.maxLength, 128);
  for (const part of [spec, spec.template, spec.labels, spec.sha256]) assert.ok(Object.isFrozen(part));
});

test('a model without an adapter has no adapter tensors', async (context) => {
  const folder = await makeModelFolder(await temporaryFolder(context), { adapter: null, adapterTensors: 0 });
  assert.equal((await readManifest(folder)).adapter, null);
});

test('a byte order mark and $schema do no harm', async (context) => {
  const folder = await makeModelFolder(await temporaryFolder(context));
  const facts = { $schema: '../manifest.schema.json', ...manifestFacts() };
  await writeFile(join(folder, 'manifest.json'), `\uFEFF${JSON.stringify(facts)}`);
  const spec = await readManifest(folder);
  assert.equal('$schema' in spec, false);
});

test('every field is required: without it the error names it', async (context) => {
  const folder = await temporaryFolder(context);
  for (const key of Object.keys(manifestFacts())) {
    await makeModelFolder(folder, { [key]: undefined });
    await assert.rejects(readManifest(folder), (error: Error) => {
      assert.match(error.message, new RegExp(`for ${key}\\b.*but received nothing`), key);
      assert.equal('code' in error && error.code, 'ERR_MODEL_MANIFEST');
      return true;
    });
  }
});

const WRONG: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
  ['a number as text', { maxLength: '128' }, /Expected a number for maxLength but received "128"/],
  ['a broken number', { maxLength: 12.5 }, /a whole number for maxLength/],
  ['no length at all', { maxLength: 0 }, /maxLength/],
  ['no room for the special tokens', { maxLength: 1, eos: 2 }, /room for 2 special tokens for maxLength/],
  ['an unknown architecture', { architecture: 'gpt2' }, /"gemma2", "llama" for architecture but received "gpt2"/],
  ['an unknown parser', { parser: 'eval' }, /for parser but received "eval"/],
  ['an unknown key', { loraAlpha: 3 }, /only known keys.*'loraAlpha'/],
  ['half a template', { template: { prompt: '', responseA: '' } }, /template\.responseB/],
  ['a negative token', { bos: -1 }, /bos/],
  ['a label twice', { labels: ['winner_model_a', 'winner_model_a'] }, /labels/],
  ['one label', { labels: ['winner_model_a'] }, /labels/],
  ['a strange label', { labels: ['winner_model_a', 'winner_model_b', 'draw'] }, /labels\[2\]/],
  ['an adapter of no tensors', { adapterTensors: 0 }, /at least 1 with an adapter for adapterTensors/],
  ['adapter tensors without an adapter', { adapter: null }, /0 without an adapter for adapterTensors/],
  ['a short digest', { sha256: { 'base.gguf': 'abc' } }, /64 hex digits.*sha256\.base\.gguf/],
  ['no digest of a file', { sha256: {} }, /a digest of base\.gguf for sha256/],
  ['a path out of the folder', { base: '../base.gguf' }, /inside the model folder for base/],
  ['a path out of the folder by a detour', { head: 'x/../../head.gguf' }, /inside the model folder for head/],
  ['an absolute path', { tokenizer: '/etc' }, /inside the model folder for tokenizer/],
  ['an empty path', { base: '' }, /for base/],
];

for (const [name, changes, message] of WRONG) {
  test(`${name} is ERR_MODEL_MANIFEST, naming the key`, async (context) => {
    const folder = await makeModelFolder(await temporaryFolder(context), changes);
    await assert.rejects(readManifest(folder), { code: 'ERR_MODEL_MANIFEST', message });
  });
}

test('digests of files outside the folder are refused', async (context) => {
  const { sha256 } = manifestFacts();
  const digests = { ...(typeof sha256 === 'object' ? sha256 : {}), '../secret': 'a'.repeat(64) };
  const folder = await makeModelFolder(await temporaryFolder(context), { sha256: digests });
  await assert.rejects(readManifest(folder), { code: 'ERR_MODEL_MANIFEST', message: /\.\.\/secret/ });
});

test('a missing manifest is ERR_MODEL_FILE', async (context) => {
  await assert.rejects(readManifest(await temporaryFolder(context)), {
    code: 'ERR_MODEL_FILE',
    message: /manifest\.json/,
  });
});

test('a manifest that is no JSON is ERR_MODEL_MANIFEST with the reason', async (context) => {
  const folder = await temporaryFolder(context);
  await writeFile(join(folder, 'manifest.json'), '{"name": }');
  await assert.rejects(readManifest(folder), { code: 'ERR_MODEL_MANIFEST', message: /Expected JSON/ });
});
