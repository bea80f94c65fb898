/** What `npm run bench -- ...` may be told. */

import { availableParallelism, homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { PairscoreError } from '../lib/errors';
import type { Compute, WeightStorage } from '../lib/compute';
import { BUNDLED_ENSEMBLE, COMPUTES, STORAGES } from '../lib/settings';

export const CASES = ['ceiling', 'models', 'ensemble', 'end-to-end', 'latency', 'peers'] as const;
export type CaseName = (typeof CASES)[number];

export interface BenchOptions {
  readonly ensemble: string;
  /** Writes full-size models first, and benches them. */
  readonly synthetic: boolean;
  /** Blocks of the synthetic models; null: as many as the real ones have. */
  readonly layers: number | null;
  readonly cache: string;
  readonly rows: number;
  readonly peerRows: number;
  readonly cases: readonly CaseName[];
  /** null: every device of the machine. */
  readonly devices: readonly string[] | null;
  /** null: what each device is usually opened with. */
  readonly batchTokens: readonly number[] | null;
  readonly threads: number;
  /** What GPUs multiply in: the case models compares all, the other cases take the first. null: left to the engine. */
  readonly computes: readonly Compute[] | null;
  readonly weights: WeightStorage | null;
  readonly json: string | null;
  readonly markdown: boolean;
}

export const USAGE = `npm run bench -- [options]
  --synthetic           bench full-size Gemma-2 9B (Q4_K) and Llama-3 8B (Q8_0) of random weights, written once
  --layers N            blocks of the synthetic models (default: 42 and 32)
  --cache DIR           where synthetic models and programs are kept
  --ensemble FILE       bench these models (default: the bundled demo)
  --rows N              rows of each measurement (default: 512, without a GPU 12)
  --cases LIST          of ${CASES.join(', ')} (default: all)
  --device LIST         cpu, cuda:N (default: every GPU, without one the CPU)
  --batch-tokens LIST   batch budgets to compare in the case models
  --compute LIST        of ${COMPUTES.join(', ')}: what GPUs multiply in (default: auto); the case models compares them
  --weights HOW         ${STORAGES.join(', ')}: how GPUs keep the weights (default: auto)
                        with neither, the case models compares every mode
  --peer-rows N         rows of each peer's measurement, of the same (default: 64)
  --threads N           CPU threads
  --json FILE           also write everything as JSON, - for standard output instead of the tables
  --markdown            print tables as Markdown`;

/** Rows are fewer without a GPU, since then everything is slower; `hasGpu` is known only after the addon was asked. */
export function readOptions(argv: readonly string[], hasGpu: boolean): BenchOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      synthetic: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      layers: { type: 'string' },
      cache: { type: 'string' },
      ensemble: { type: 'string' },
      rows: { type: 'string' },
      cases: { type: 'string' },
      device: { type: 'string' },
      'batch-tokens': { type: 'string' },
      threads: { type: 'string' },
      'peer-rows': { type: 'string', default: '64' },
      compute: { type: 'string' },
      weights: { type: 'string' },
      json: { type: 'string' },
    },
  });
  return {
    ensemble: resolve(values.ensemble ?? BUNDLED_ENSEMBLE),
    synthetic: values.synthetic,
    layers: values.layers === undefined ? null : wholeNumber(values.layers, '--layers'),
    cache: resolve(values.cache ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'pairscore-bench')),
    rows: values.rows === undefined ? (hasGpu ? 512 : 12) : wholeNumber(values.rows, '--rows'),
    cases: values.cases === undefined ? CASES : listOf(values.cases).map((name) => oneOf(CASES, name, '--cases')),
    devices: values.device === undefined ? null : listOf(values.device),
    batchTokens: values['batch-tokens']
      ? listOf(values['batch-tokens']).map((text) => wholeNumber(text, '--batch-tokens'))
      : null,
    threads: values.threads === undefined ? availableParallelism() : wholeNumber(values.threads, '--threads'),
    peerRows: wholeNumber(values['peer-rows'], '--peer-rows'),
    computes: values.compute ? listOf(values.compute).map((name) => oneOf(COMPUTES, name, '--compute')) : null,
    weights: values.weights ? oneOf(STORAGES, values.weights, '--weights') : null,
    json: values.json ?? null,
    markdown: values.markdown,
  };
}

function listOf(text: string): readonly string[] {
  return text.split(',').map((part) => part.trim());
}

function wholeNumber(text: string, flag: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value > 0) return value;
  throw new PairscoreError('ERR_USAGE', `Expected a whole number above 0 for ${flag} but received '${text}'`);
}

function oneOf<T extends string>(names: readonly T[], text: string, flag: string): T {
  const found = names.find((name) => name === text);
  if (found !== undefined) return found;
  throw new PairscoreError('ERR_USAGE', `Expected one of ${names.join(', ')} for ${flag} but received '${text}'`);
}
