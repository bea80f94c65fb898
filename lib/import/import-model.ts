import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PairscoreError } from '../errors';
import type { CellParser, Label, Template, Truncation } from '../model/spec';
import { type Adapter, readAdapter } from './adapter';
import { averageHeads, type AverageMode, averagePairs, checkSamePairs, normalise, type Share } from './average';
import type { LoraPair } from './adapter';
import { type Base, openBase } from './base';
import type { HeadWeights } from './head';
import { defaultLabels, isLabel } from './presets';
import { type ImportReport, reportOf } from './report';
import { compareVocabulary, findTokenizer, readTokenizerFacts, type TokenizerFacts } from './tokenizer-facts';
import { writeFolder } from './write-folder';

/** One adapter and its share in the average. */
export interface AdapterSource {
  readonly path: string;
  readonly weight: number;
}

export interface ImportOptions {
  readonly base: string;
  readonly adapters: readonly AdapterSource[];
  readonly tokenizer: string | null;
  readonly out: string;
  readonly name: string | null;
  readonly alpha: number | null;
  readonly rsLora: boolean;
  readonly average: AverageMode;
  readonly merge: boolean;
  readonly type: string | null;
  readonly threads: number;
  readonly labels: readonly string[] | null;
  readonly template: Template;
  readonly parser: CellParser;
  readonly nullText: string;
  readonly joiner: string;
  readonly maxLength: number;
  readonly truncation: Truncation;
  readonly attentionSoftCap: boolean;
  readonly dryRun: boolean;
}

export interface ImportProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly tensor: string;
}

export interface ImportWatch {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: ImportProgress) => void;
}

/** Everything that will be written, known and checked before the first byte is. */
export interface ImportPlan {
  readonly options: ImportOptions;
  readonly base: Base;
  readonly adapters: readonly Share<Adapter>[];
  readonly pairs: readonly LoraPair[];
  readonly head: HeadWeights;
  readonly labels: readonly Label[];
  readonly tokenizer: TokenizerFacts;
  readonly notes: readonly string[];
}

/** Makes a model folder, whole or not at all. */
export async function importModel(options: ImportOptions, watch: ImportWatch): Promise<ImportReport> {
  if (!options.dryRun) await refuseExisting(options.out);
  const shapeOnly = await openBase(options.base, {
    type: options.merge ? null : options.type,
    threads: options.threads,
    merge: null,
  });
  let base = shapeOnly;
  try {
    const adapters = await readAdapters(options, base);
    const pairs = combinePairs(adapters, options);
    if (options.merge) {
      await shapeOnly.close();
      base = await openBase(options.base, { type: options.type, threads: options.threads, merge: pairs });
    }
    const plan = await planImport(options, base, { adapters, pairs });
    return options.dryRun ? reportOf(plan, 'not compared') : await writeWhole(plan, watch);
  } finally {
    await base.close();
  }
}

async function refuseExisting(out: string): Promise<void> {
  const names = await readdir(out).catch(() => []);
  if (names.length > 0)
    throw new PairscoreError('ERR_OUTPUT', `Expected ${out} to be new or empty but it holds ${names.length} files`, {
      file: out,
    });
}

async function readAdapters(options: ImportOptions, base: Base): Promise<readonly Share<Adapter>[]> {
  const weights = options.adapters.length === 0 ? [] : normalise(options.adapters.map(({ weight }) => weight));
  const shares: Share<Adapter>[] = [];
  for (const [i, { path }] of options.adapters.entries()) {
    const value = await readAdapter(path, base.shape, { alpha: options.alpha, rsLora: options.rsLora });
    shares.push({ weight: weights[i] ?? 0, source: path, value });
  }
  return shares;
}

function combinePairs(adapters: readonly Share<Adapter>[], options: ImportOptions): readonly LoraPair[] {
  const shares = adapters.map((share) => ({ ...share, value: share.value.pairs }));
  checkSamePairs(shares);
  return averagePairs(shares, options.average);
}

async function planImport(
  options: ImportOptions,
  base: Base,
  read: Pick<ImportPlan, 'adapters' | 'pairs'>,
): Promise<ImportPlan> {
  if (options.adapters.length > 0 && read.pairs.length === 0) {
    const head = read.adapters.every(({ value }) => value.head !== null) ? 'a head only' : 'nothing';
    if (head === 'nothing')
      throw new PairscoreError(
        'ERR_MODEL_MISMATCH',
        `${options.adapters[0]?.path ?? ''}: Expected LoRA weights but found none`,
      );
  }
  const head = chooseHead(base, read.adapters);
  const tokenizer = await readTokenizerFacts(
    findTokenizer(options.tokenizer, [...options.adapters.map(({ path }) => path), options.base]),
  );
  const notes = [...compareVocabulary(tokenizer, base.tokens), ...modelNotes(options, base, read)];
  return {
    options,
    base,
    ...read,
    head,
    labels: chooseLabels(options, head),
    tokenizer,
    notes,
  };
}

/** Never a random one: a head that no source holds ends the import. */
function chooseHead(base: Base, adapters: readonly Share<Adapter>[]): HeadWeights {
  const shares = adapters.flatMap((share) =>
    share.value.head === null ? [] : [{ ...share, value: share.value.head }],
  );
  if (shares.length > 0 && shares.length < adapters.length) {
    throw new PairscoreError('ERR_MODEL_MISMATCH', 'Expected a head in each adapter or in none but only some have one');
  }
  if (shares.length > 0) return averageHeads(shares);
  if (base.head !== null) return base.head.weights;
  throw new PairscoreError(
    'ERR_MODEL_MISMATCH',
    'Expected the weights of the head (score.weight or classifier.weight) in the adapter or in the base folder but found none',
  );
}

function chooseLabels(options: ImportOptions, head: HeadWeights): readonly Label[] {
  const labels = options.labels ?? defaultLabels(head.labels);
  if (labels === null) throw new PairscoreError('ERR_USAGE', `Expected --labels for a head of ${head.labels} outputs`);
  const known = labels.filter(isLabel);
  if (known.length !== labels.length || new Set(known).size !== known.length) {
    throw new PairscoreError(
      'ERR_USAGE',
      `Expected labels of winner_model_a, winner_model_b, winner_tie but received ${labels.join(', ')}`,
    );
  }
  if (known.length !== head.labels)
    throw new PairscoreError(
      'ERR_USAGE',
      `Expected ${head.labels} labels, as the head has, but received ${known.length}`,
    );
  return known;
}

function modelNotes(
  options: ImportOptions,
  base: Base,
  read: Pick<ImportPlan, 'adapters' | 'pairs'>,
): readonly string[] {
  const notes: string[] = [];
  if (base.shape.architecture === 'gemma2' && options.attentionSoftCap) {
    notes.push(
      'attention soft-cap is on; a checkpoint trained with SDPA under transformers before 4.45 never had it: import it with --no-attention-soft-cap',
    );
  }
  const untrained = read.pairs.filter((pair) => pair.b.every((value) => value === 0)).length;
  if (untrained > 0) notes.push(`${untrained} of ${read.pairs.length} LoRA pairs are all zero: untrained`);
  return notes;
}

/** Into a folder beside the target, renamed when all of it stands. */
async function writeWhole(plan: ImportPlan, watch: ImportWatch): Promise<ImportReport> {
  const out = resolve(plan.options.out);
  const failed = (cause: unknown): never => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PairscoreError('ERR_OUTPUT', `Expected to write ${out} but could not: ${reason}`, { file: out, cause });
  };
  await mkdir(dirname(out), { recursive: true }).catch(failed);
  const folder = join(dirname(out), `.${basename(out)}-${randomUUID()}`);
  await mkdir(folder).catch(failed);
  try {
    const report = await writeFolder(plan, folder, watch);
    await rm(out, { recursive: true, force: true }).catch(failed);
    await rename(folder, out).catch(failed);
    return report;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
