/** Native engines against transformers in f32, on the same F32 weights. make/answers.py makes the answers. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { EngineSpec, NativeEngine } from '../../lib/native/contract';
import { openEngine } from '../../lib/native/engine';
import { softmax } from '../../lib/probability';
import { readJson } from '../fixtures/read-json';
import { TOLERANCES } from './tolerances';

type Architecture = 'gemma2' | 'llama';
type Rows = readonly (readonly number[])[];

interface GoldenCase {
  readonly name: string;
  readonly architecture: Architecture;
  readonly attentionSoftCap: boolean;
  readonly base: string;
  readonly adapter: string | null;
  readonly head: string;
  readonly logits: Rows;
  readonly probabilities: Rows;
}

interface Golden {
  readonly rows: Readonly<Record<Architecture, Rows>>;
  readonly cases: readonly GoldenCase[];
}

const golden = readJson<Golden>(join(__dirname, 'answers.json'));

function file(name: string | null): string {
  return name === null ? '' : join(__dirname, 'models', name);
}

function specOf(entry: GoldenCase, changes: Partial<EngineSpec> = {}): EngineSpec {
  return {
    basePath: file(entry.base),
    adapterPath: file(entry.adapter),
    headPath: file(entry.head),
    device: 'cpu',
    threads: 1,
    maxBatchTokens: 2048,
    maxSequenceTokens: 512,
    maxBatchSequences: 4,
    attentionSoftCap: entry.attentionSoftCap,
    compute: 'auto',
    weights: 'auto',
    ...changes,
  };
}

/** Probabilities of rows given to the engine `size` at a time. */
async function scoreBy(engine: NativeEngine, rows: Rows, size: number): Promise<Rows> {
  const labels = engine.info().labelCount;
  const found: (readonly number[])[] = [];
  for (let start = 0; start < rows.length; start += size) {
    const batch = rows.slice(start, start + size);
    const offsets = [0];
    for (const row of batch) offsets.push((offsets.at(-1) ?? 0) + row.length);
    const logits = await engine.score(Int32Array.from(batch.flat()), Int32Array.from(offsets));
    for (let row = 0; row < batch.length; row++) found.push(softmax(logits.slice(row * labels, (row + 1) * labels)));
  }
  return found;
}

function largestDifference(left: Rows, right: Rows): number {
  assert.equal(left.length, right.length);
  const differences = left.flatMap((row, i) => row.map((value, k) => Math.abs(value - (right[i]?.[k] ?? NaN))));
  return differences.reduce((a, b) => (b > a || Number.isNaN(b) ? b : a), 0);
}

async function withEngine<T>(spec: EngineSpec, work: (engine: NativeEngine) => Promise<T>): Promise<T> {
  const engine = await openEngine(spec);
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

function caseNamed(name: string): GoldenCase {
  const found = golden.cases.find((candidate) => candidate.name === name);
  assert.ok(found, `Expected a golden case named "${name}"`);
  return found;
}

/** How far an engine opened the wrong way is from the golden answer. */
function differenceWith(entry: GoldenCase, changes: Partial<EngineSpec>): Promise<number> {
  return withEngine(specOf(entry, changes), async (engine) =>
    largestDifference(await scoreBy(engine, golden.rows[entry.architecture], 4), entry.probabilities),
  );
}

describe('an engine on F32 weights', () => {
  for (const entry of golden.cases) {
    it(`answers as transformers does: ${entry.name}`, async (context: TestContext) => {
      const rows = golden.rows[entry.architecture];
      await withEngine(specOf(entry), async (engine) => {
        for (const size of [1, 4]) {
          const difference = largestDifference(await scoreBy(engine, rows, size), entry.probabilities);
          context.diagnostic(`${size} a batch: largest |Δp| ${difference.toExponential(1)}`);
          assert.ok(difference <= TOLERANCES[entry.architecture], `|Δp| ${difference} with ${size} rows a batch`);
        }
      });
    });
  }

  it('would be caught without its adapter', async () => {
    for (const name of ['Gemma with LoRA on some layers', 'Llama with LoRA on q and k']) {
      const entry = caseNamed(name);
      const difference = await differenceWith(entry, { adapterPath: '' });
      assert.ok(difference > 100 * TOLERANCES[entry.architecture], `${name}: |Δp| ${difference}`);
    }
  });

  it('would be caught with the soft-cap switched the wrong way', async () => {
    for (const name of ['Gemma with LoRA on some layers', 'Gemma without the attention soft-cap']) {
      const entry = caseNamed(name);
      const difference = await differenceWith(entry, { attentionSoftCap: !entry.attentionSoftCap });
      assert.ok(difference > 100 * TOLERANCES.gemma2, `${name}: |Δp| ${difference}`);
    }
  });
});
