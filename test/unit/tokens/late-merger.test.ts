import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LateMerger } from '../../../lib/tokens/late-merger';

const DEMO = join(__dirname, '../../../models/demo/llama');

test('what is closed stays closed, opened before or not', async () => {
  const used = new LateMerger({ tokenizer: DEMO, specialTokensInText: 'parse' });
  assert.ok((await used.merge('words')).length > 0);
  const unused = new LateMerger({ tokenizer: DEMO, specialTokensInText: 'parse' });
  for (const merger of [used, unused]) {
    await merger.close();
    await assert.rejects(merger.merge('words'), { code: 'ERR_CLOSED' });
    await merger.close();
  }
});

test('a tokenizer that could not be read is tried again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pairscore-late-'));
  const merger = new LateMerger({ tokenizer: folder, specialTokensInText: 'parse' });
  try {
    await assert.rejects(merger.merge('words'));
    await cp(DEMO, folder, { recursive: true });
    assert.ok((await merger.merge('words')).length > 0);
  } finally {
    await merger.close();
    rmSync(folder, { recursive: true });
  }
});
