/** A verified model on its devices: tokenizer and engines, all of them or none. */

import type { Compute, WeightStorage } from '../compute';
import { PairscoreError } from '../errors';
import type { EngineInfo, EngineSpec, NativeEngine } from '../native/contract';
import { openEngine } from '../native/engine';
import type { Signal } from '../signal';
import { openRowTokenizer, type RowTokenizer } from '../tokens/row-tokenizer';
import { engineKind, engineLimits, type EngineLimits } from './limits';
import type { ModelSpec } from './spec';

export interface OpenModelOptions {
  readonly spec: ModelSpec;
  /** 'cpu' or 'cuda:N'. */
  readonly devices: readonly string[];
  /** Of the tokenizer. */
  readonly threads: number;
  /** Of each engine. */
  readonly engineThreads: number;
  readonly batchTokens: number | null;
  /** Largest batch on a GPU, where placing chose it. */
  readonly gpuBatchTokens: number;
  /** How a GPU keeps the weights, where placing chose it. */
  readonly gpuWeights: WeightStorage;
  readonly spreadMaxLength: boolean;
  readonly tokenizer: 'native' | 'hf';
  readonly compute: Compute;
  readonly weights: WeightStorage;
  /** Ends the opening. */
  readonly signal: Signal | undefined;
}

export interface OpenEngine {
  readonly device: string;
  readonly engine: NativeEngine;
  readonly info: EngineInfo;
  readonly limits: EngineLimits;
  readonly threads: number;
}

export interface OpenModel {
  readonly spec: ModelSpec;
  readonly tokenizer: RowTokenizer;
  readonly engines: readonly OpenEngine[];
  /** Waits for the calls in flight. Idempotent. */
  close(): Promise<void>;
}

interface Closable {
  close(): Promise<void>;
}

/** The files have been verified. Rejects, holding nothing, where one part does not open or fit. */
export async function openModel(options: OpenModelOptions): Promise<OpenModel> {
  const opened: Closable[] = [];
  try {
    const tokenizer = await openRowTokenizer(options);
    opened.push(tokenizer);
    const engines: OpenEngine[] = [];
    for (const device of options.devices) {
      const engine = await openOn(device, options);
      opened.push(engine.engine);
      checkFit(engine.info, options.spec);
      engines.push(engine);
    }
    return { spec: options.spec, tokenizer, engines, close: () => closeAll(opened) };
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

/** Every part is told, even where closing one of them fails. */
export async function closeAll(parts: readonly Closable[]): Promise<void> {
  const outcomes = await Promise.allSettled(parts.map((part) => part.close()));
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failure) throw failure.reason;
}

async function openOn(device: string, options: OpenModelOptions): Promise<OpenEngine> {
  const { spec, engineThreads, compute } = options;
  const onCpu = device === 'cpu';
  const batchTokens = onCpu ? options.batchTokens : options.gpuBatchTokens;
  const limits = engineLimits(spec, engineKind(device, compute), batchTokens);
  const engineSpec: EngineSpec = {
    basePath: spec.base,
    adapterPath: spec.adapter ?? '',
    headPath: spec.head,
    device,
    threads: engineThreads,
    maxBatchTokens: limits.maxBatchTokens,
    maxBatchSequences: limits.maxBatchSequences,
    maxSequenceTokens: spec.maxLength,
    attentionSoftCap: spec.attentionSoftCap,
    compute,
    weights: onCpu ? options.weights : options.gpuWeights,
  };
  const engine = await openEngine(engineSpec, options.signal);
  return { device, engine, info: engine.info(), limits, threads: engineThreads };
}

/** Whether what the engine found in the files is what the manifest says of them. */
export function checkFit(info: EngineInfo, spec: ModelSpec): void {
  const refuse = (what: string, expected: unknown, received: unknown): never => {
    const text = `Expected ${String(expected)} for ${what} of model ${spec.name} but received ${String(received)}`;
    throw new PairscoreError('ERR_MODEL_MISMATCH', text, { file: spec.folder });
  };
  if (info.architecture !== spec.architecture) refuse('the architecture', spec.architecture, info.architecture);
  if (info.labelCount !== spec.labels.length) refuse('the number of labels', spec.labels.length, info.labelCount);
  const labels = info.labels.join(', ');
  if (labels !== '' && labels !== spec.labels.join(', ')) refuse('the labels', spec.labels.join(', '), labels);
  if (info.adapterMatched !== spec.adapterTensors) refuse('adapterTensors', spec.adapterTensors, info.adapterMatched);
  if (info.adapterUnmatched !== 0) refuse('the unmatched adapter tensors', 0, info.adapterUnmatched);
  for (const id of [spec.bos, spec.eos]) {
    if (id !== null && id >= info.vocabularySize) refuse('bos and eos', `ids below ${info.vocabularySize}`, id);
  }
}
