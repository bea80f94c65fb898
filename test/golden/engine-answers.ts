/** The golden models on any engine: the answers that it gives, and how far they are from transformers'. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { EngineSpec, NativeEngine } from '../../lib/native/contract';
import { openEngine } from '../../lib/native/engine';
import { softmax } from '../../lib/probability';
import { readJson } from '../fixtures/read-json';

type Architecture = 'gemma2' | 'llama';
export type Rows = readonly (readonly number[])[];

export interface GoldenCase {
  readonly name: string;
  readonly architecture: Architecture;
  readonly attentionSoftCap: boolean;
  readonly base: string;
  readonly adapter: string | null;
  readonly head: string;
  readonly probabilities: Rows;
}

interface Golden {
  readonly rows: Readonly<Record<Architecture, Rows>>;
  readonly cases: readonly GoldenCase[];
}

/** What make/answers.py made. */
export const golden = readJson<Golden>(join(__dirname, 'answers.json'));

/** Largest |Δp| of a case's rows, given to an engine of its own `size` at a time; NaN where a probability is. */
export async function differenceFromGolden(
  entry: GoldenCase,
  size: number,
  changes: Partial<EngineSpec> = {},
): Promise<number> {
  const engine = await openEngine({ ...specOf(entry), ...changes });
  try {
    return largestDifference(await probabilitiesOf(engine, golden.rows[entry.architecture], size), entry.probabilities);
  } finally {
    await engine.close();
  }
}

function specOf(entry: GoldenCase): EngineSpec {
  const file = (name: string | null): string => (name === null ? '' : join(__dirname, 'models', name));
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
  };
}

/** Of rows of token ids, given to the engine `size` at a time. */
export async function probabilitiesOf(
  engine: NativeEngine,
  rows: readonly ArrayLike<number>[],
  size: number,
): Promise<Rows> {
  return (await logitsOf(engine, rows, size)).map((row) => softmax(Float32Array.from(row)));
}

export async function logitsOf(engine: NativeEngine, rows: readonly ArrayLike<number>[], size: number): Promise<Rows> {
  const labels = engine.info().labelCount;
  const found: (readonly number[])[] = [];
  for (let start = 0; start < rows.length; start += size) {
    const batch = rows.slice(start, start + size);
    const offsets = [0];
    for (const row of batch) offsets.push((offsets.at(-1) ?? 0) + row.length);
    const tokens = Int32Array.from(batch.flatMap((row) => Array.from(row)));
    const logits = await engine.score(tokens, Int32Array.from(offsets));
    for (let row = 0; row < batch.length; row++) found.push([...logits.slice(row * labels, (row + 1) * labels)]);
  }
  return found;
}

export function largestDifference(left: Rows, right: Rows): number {
  assert.equal(left.length, right.length);
  const differences = left.flatMap((row, i) => row.map((value, k) => Math.abs(value - (right[i]?.[k] ?? NaN))));
  return differences.reduce((a, b) => (b > a || Number.isNaN(b) ? b : a), 0);
}
