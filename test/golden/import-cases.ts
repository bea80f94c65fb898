/** Imports a fixture and scores its rows: what the import tests share. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importModel, type ImportOptions } from '../../lib/import/import-model';
import type { ImportReport } from '../../lib/import/report';
import { PRESETS } from '../../lib/import/presets';
import { readManifest } from '../../lib/model/manifest';
import { openEngine } from '../../lib/native/engine';

export const FIXTURES = join(__dirname, '..', 'fixtures', 'import');

interface Case {
  readonly base: string;
  readonly alpha?: number;
  readonly adapter?: string;
  readonly logits?: readonly (readonly number[])[];
}

export interface Cases {
  readonly rows: readonly (readonly number[])[];
  readonly cases: Readonly<Record<string, Case>>;
}

/** A committed answer; its maker writes this shape. */
export function readGolden(name: string): unknown {
  return JSON.parse(readFileSync(join(FIXTURES, name), 'utf8'));
}

export function readCases(): Cases {
  const value: unknown = readGolden('cases.json');
  assert.ok(isCases(value));
  return value;
}

function isCases(value: unknown): value is Cases {
  return typeof value === 'object' && value !== null && 'rows' in value && 'cases' in value;
}

export function fixture(name: string): string {
  return join(FIXTURES, name);
}

export async function inScratch<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'pairscore-import-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Options of the reference's presets, f32, changed as a test asks. */
export function optionsFor(base: string, out: string, changes: Partial<ImportOptions> = {}): ImportOptions {
  const preset = base.includes('gemma') ? PRESETS.gemma : PRESETS.llama;
  return {
    ...preset,
    base,
    out,
    adapters: [],
    tokenizer: null,
    name: null,
    alpha: null,
    rsLora: false,
    average: 'deltas',
    merge: false,
    type: null,
    threads: 2,
    labels: null,
    truncation: 'right',
    attentionSoftCap: true,
    dryRun: false,
    ...changes,
  };
}

export function runImport(options: ImportOptions): Promise<ImportReport> {
  return importModel(options, { signal: new AbortController().signal, onProgress: () => undefined });
}

/** Logits of the fixtures' rows under a model folder, on the CPU. */
export async function scoreFolder(folder: string, rows: Cases['rows']): Promise<readonly (readonly number[])[]> {
  const spec = await readManifest(folder);
  const engine = await openEngine({
    basePath: spec.base,
    adapterPath: spec.adapter ?? '',
    headPath: spec.head,
    device: 'cpu',
    threads: 2,
    maxBatchTokens: 256,
    maxSequenceTokens: 128,
    maxBatchSequences: 8,
    attentionSoftCap: spec.attentionSoftCap,
    compute: 'auto',
    weights: 'auto',
  });
  try {
    const offsets = [0];
    for (const row of rows) offsets.push((offsets.at(-1) ?? 0) + row.length);
    const logits = await engine.score(Int32Array.from(rows.flat()), Int32Array.from(offsets));
    const labels = engine.info().labelCount;
    return rows.map((_, i) => Array.from(logits.subarray(i * labels, (i + 1) * labels)));
  } finally {
    await engine.close();
  }
}

function softmax(logits: readonly number[]): readonly number[] {
  const top = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - top));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** Largest difference between the probabilities of two sets of logits. */
function difference(left: readonly (readonly number[])[], right: readonly (readonly number[])[]): number {
  return Math.max(
    ...left.flatMap((row, i) => softmax(row).map((p, j) => Math.abs(p - (softmax(right[i] ?? [])[j] ?? NaN)))),
  );
}

/** The folder gives these logits' probabilities. */
export async function assertScores(
  folder: string,
  { rows, logits }: { readonly rows: Cases['rows']; readonly logits: readonly (readonly number[])[] | undefined },
  most: number,
): Promise<void> {
  const found = difference(await scoreFolder(folder, rows), logits ?? []);
  assert.ok(found <= most, `Expected a difference of at most ${most} but received ${found}`);
}

/** What ggml's f32 arithmetic on the CPU may differ by; its gelu is an f16 table. */
export function tolerance(base: string): number {
  return base.startsWith('gemma') ? 2e-3 : 1e-5;
}
