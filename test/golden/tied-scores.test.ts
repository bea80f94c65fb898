/** A SentencePiece vocabulary whose scores tie: which merge comes first is the rule of transformers' conversion. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openTokenizer } from '../../lib/native/engine';
import { overNative } from '../../lib/tokens/native-tokenizer';
import { encodeGguf } from '../fixtures/gguf-writer';
import { readJson } from '../fixtures/read-json';

interface Golden {
  /** Text, score and GGUF's token type. */
  readonly pieces: readonly (readonly [string, number, number])[];
  readonly strings: readonly string[];
  readonly ids: readonly (readonly number[])[];
}

const USER_DEFINED = 4;
const golden = readJson<Golden>(join(__dirname, 'tied-scores.json'));
const scratch = mkdtempSync(join(tmpdir(), 'pairscore-tied-'));
after(() => rmSync(scratch, { recursive: true }));

/** As llama.cpp's converter writes it. */
function writeVocabulary(path: string, scores: readonly number[]): void {
  const tokens = golden.pieces.map(([text, , type]) => (type === USER_DEFINED ? text.replaceAll('\u2581', ' ') : text));
  const vocabulary = encodeGguf(
    {
      'general.architecture': { type: 'string', value: 'gemma2' },
      'tokenizer.ggml.model': { type: 'string', value: 'llama' },
      'tokenizer.ggml.pre': { type: 'string', value: 'default' },
      'tokenizer.ggml.tokens': { type: 'strings', value: tokens },
      'tokenizer.ggml.scores': { type: 'float32s', value: scores },
      'tokenizer.ggml.token_type': { type: 'int32s', value: golden.pieces.map(([, , type]) => type) },
      'tokenizer.ggml.add_space_prefix': { type: 'bool', value: false },
      'tokenizer.ggml.bos_token_id': { type: 'uint32', value: 1 },
      'tokenizer.ggml.eos_token_id': { type: 'uint32', value: 2 },
    },
    [],
  );
  writeFileSync(path, vocabulary);
}

async function encode(scores: readonly number[]): Promise<readonly (readonly number[])[]> {
  const basePath = join(scratch, 'vocabulary.gguf');
  writeVocabulary(basePath, scores);
  const native = await openTokenizer({ basePath, threads: 1 });
  try {
    const lists = await overNative(native, 'parse').encode(golden.strings);
    return lists.map((ids) => [...ids]);
  } finally {
    await native.close();
  }
}

const scores = golden.pieces.map(([, score]) => score);

test('pieces whose scores tie are merged in the order of transformers, id for id', async () => {
  const lists = await encode(scores);
  for (const [i, ids] of lists.entries()) assert.deepEqual(ids, golden.ids[i], JSON.stringify(golden.strings[i]));
});

test('the strings tell that order from others: without the ties, they have other ids', async () => {
  assert.ok(new Set(scores).size < scores.length / 8, 'hardly a tie');
  for (const factor of [7919, 4409]) {
    const lists = await encode(scores.map((score, i) => score + ((i * factor) % scores.length) / scores.length));
    const others = lists.filter((ids, i) => ids.join() !== golden.ids[i]?.join());
    assert.ok(others.length > 50, `${others.length} strings`);
  }
});
