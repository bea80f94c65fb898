/** The synthetic writer, at real architectures and vocabularies but narrow: what it writes must open and score. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openBenchEngine } from '../../bench/models';
import { GEMMA_9B, LLAMA_8B, type Dimensions } from '../../bench/synthetic/dimensions';
import { writeSyntheticModel } from '../../bench/synthetic/model';
import { DRAW, randomTensor } from '../../bench/synthetic/random-tensor';
import { flopsPerToken, readBaseFacts } from '../../lib/model/base-facts';
import { readManifest } from '../../lib/model/manifest';
import { openScorer } from '../../lib/scorer';
import { verifyFiles } from '../../lib/model/verify';
import { factsOf } from '../fixtures/full-size';

const FOLDER = mkdtempSync(join(tmpdir(), 'pairscore-synthetic-'));

after(() => rmSync(FOLDER, { recursive: true, force: true }));

const NARROW = { layers: 2, hidden: 256, heads: 4, kvHeads: 2, headDim: 64, feedForward: 512, adaptedFrom: 0 };
const LIMITS = { maxBatchTokens: 2048, maxBatchSequences: 4, padding: 'counted' } as const;

for (const full of [GEMMA_9B, LLAMA_8B]) {
  const dimensions: Dimensions = { ...full, ...NARROW };

  test(`a narrow ${full.architecture} of random blocks verifies, opens and gives finite logits`, async () => {
    const folder = join(FOLDER, full.name);
    await writeSyntheticModel(folder, dimensions);
    const spec = await readManifest(folder);
    await verifyFiles(spec);
    const facts = await readBaseFacts(spec.base);
    assert.deepEqual(facts, { ...factsOf(dimensions), fileBytes: facts.fileBytes });
    const engine = await openBenchEngine(spec, {
      device: 'cpu',
      threads: 1,
      limits: LIMITS,
      compute: 'auto',
      weights: 'auto',
    });
    try {
      const info = engine.info();
      assert.equal(info.vocabularySize, full.architecture === 'gemma2' ? 256_000 : 128_256);
      assert.equal(info.adapterMatched, 2 * full.adapted.length);
      const logits = await engine.score(Int32Array.of(2, 400, 500, 2, 600), Int32Array.of(0, 3, 5));
      assert.equal(logits.length, 6);
      assert.ok(
        logits.every((value) => Number.isFinite(value)),
        String(logits),
      );
    } finally {
      await engine.close();
    }
  });
}

test('a scorer takes both as an ensemble: manifests, tokenizers and heads agree', async () => {
  const ensemble = join(FOLDER, 'ensemble.json');
  const models = [GEMMA_9B, LLAMA_8B].map(({ name }) => ({ path: name, weight: 1, device: 'cpu' }));
  writeFileSync(ensemble, JSON.stringify({ models }));
  await using scorer = await openScorer({ ensemble, threads: 2 });
  const { winnerModelA, winnerModelB, winnerTie } = await scorer.scorePair({
    prompt: ['Which is larger, 9.11 or 9.9?'],
    responseA: ['9.9'],
    responseB: ['9.11, of course.'],
  });
  assert.ok(Math.abs(winnerModelA + winnerModelB + winnerTie - 1) < 1e-6);
});

test('full size has the work a token that is known of the models', () => {
  assert.equal((flopsPerToken(GEMMA_9B) / 1e9).toFixed(2), '16.65');
  assert.equal((flopsPerToken(LLAMA_8B) / 1e9).toFixed(2), '13.96');
});

test('the manifest is written last: a folder that was cut off has none', async () => {
  const folder = join(FOLDER, 'cut');
  await assert.rejects(writeSyntheticModel(folder, { ...GEMMA_9B, ...NARROW, tokenizerPackage: 'no-such-package' }));
  assert.equal(existsSync(join(folder, 'manifest.json')), false);
});

test('a quantisation without known scales is refused', async () => {
  await assert.rejects(bytesOf('x', 'q3_K', [256, 1]), /q8_0, q4_K, q6_K but received q3_K/);
});

async function bytesOf(...args: Parameters<typeof randomTensor>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of randomTensor(...args).chunks()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('weights are the same ones on every machine and in every run; others need another DRAW', async () => {
  const files = ['base.gguf', 'adapter.gguf', 'head.gguf'];
  const digests = [GEMMA_9B, LLAMA_8B].map(async ({ name }) => {
    const { sha256 } = await readManifest(join(FOLDER, name));
    return files.map((file) => sha256[file]?.slice(0, 12));
  });
  const gemma = ['b7cfeb10bf29', '1f959b0b9aaa', 'd63386e6f619'];
  const llama = ['a2065e9a2274', 'a2c43ecc768c', 'd1d1f8bae2bb'];
  assert.deepEqual([DRAW, await Promise.all(digests)], [3, [gemma, llama]]);
});

test('no two tensors are alike, nor two rows of one', async () => {
  const rows = new Set<string>();
  for (const name of ['blk.0.ffn_gate.weight', 'blk.0.ffn_up.weight', 'blk.1.ffn_gate.weight']) {
    const bytes = await bytesOf(name, 'q8_0', [4096, 2000]);
    const width = bytes.length / 2000;
    for (let row = 0; row < 2000; row += 1) rows.add(bytes.toString('latin1', row * width, (row + 1) * width));
  }
  assert.equal(rows.size, 6000);
});

test('a quantised tensor is as long as its shape says, however it is cut', async () => {
  assert.equal((await bytesOf('x', 'q8_0', [4096, 20_000])).length, (4096 / 32) * 34 * 20_000);
  assert.ok(readFileSync(join(FOLDER, LLAMA_8B.name, 'head.gguf')).length > 0);
});
