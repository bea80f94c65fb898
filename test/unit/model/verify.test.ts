import assert from 'node:assert/strict';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { test } from 'node:test';
import { digestFiles } from '../../../lib/model/digest';
import { readManifest } from '../../../lib/model/manifest';
import { verifyFiles } from '../../../lib/model/verify';
import { makeModelFolder, temporaryFolder } from './folder';

test('files that are as the manifest says pass', async (context) => {
  await verifyFiles(await readManifest(await makeModelFolder(await temporaryFolder(context))));
});

test('one changed byte in any file is ERR_MODEL_HASH, naming the file', async (context) => {
  const root = await temporaryFolder(context);
  for (const name of ['base.gguf', 'adapter.gguf', 'head.gguf', 'tokenizer.json', 'tokenizer_config.json']) {
    const folder = await makeModelFolder(join(root, name));
    await writeFile(join(folder, name), 'Base');
    const message = new RegExp(`Expected sha256 .*${name} but received`);
    await assert.rejects(verifyFiles(await readManifest(folder)), { code: 'ERR_MODEL_HASH', message });
  }
});

test('a truncated file is ERR_MODEL_HASH', async (context) => {
  const folder = await makeModelFolder(await temporaryFolder(context));
  await truncate(join(folder, 'base.gguf'), 2);
  await assert.rejects(verifyFiles(await readManifest(folder)), { code: 'ERR_MODEL_HASH' });
});

test('a missing file is ERR_MODEL_FILE, naming it', async (context) => {
  const folder = await makeModelFolder(await temporaryFolder(context));
  await rm(join(folder, 'head.gguf'));
  await assert.rejects(verifyFiles(await readManifest(folder)), { code: 'ERR_MODEL_FILE', message: /head\.gguf/ });
});

test('a folder in place of a file is ERR_MODEL_FILE', async (context) => {
  const root = await temporaryFolder(context);
  const folder = await makeModelFolder(join(root, 'model'));
  await rm(join(folder, 'base.gguf'));
  await makeModelFolder(join(folder, 'base.gguf'));
  await assert.rejects(verifyFiles(await readManifest(folder)), { code: 'ERR_MODEL_FILE' });
});

test('a large file is hashed off the event loop', async (context) => {
  const path = join(await temporaryFolder(context), 'large');
  await writeFile(path, '');
  await truncate(path, 256 * 2 ** 20);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const digests = await digestFiles([path]);
  delay.disable();
  assert.deepEqual(digests.get(path), { sha256: 'a6d72ac7690f53be6ae46ba88506bd97302a093f7108472bd9efc3cefda06484' });
  assert.ok(delay.percentile(95) < 30e6, `p95 ${delay.percentile(95) / 1e6} ms`);
});
