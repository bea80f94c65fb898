/** What a scorer tells beside the probabilities: what it loaded, how far it is, which rows were bad. */

import type { ErrorCode } from './errors';
import type { Preference } from './pair';
import type { Signal } from './signal';

/** One model as it was loaded. */
export interface ModelReport {
  readonly name: string;
  readonly architecture: string;
  readonly folder: string;
  /** Its share of the mean; the weights of all models sum to 1. */
  readonly weight: number;
  readonly quantization: string;
  /** 'ggml' for llama.cpp's engine; 'bf16', 'f16' or 'fp8' for ours, with ', streamed' where it expands weights as it goes. */
  readonly compute: string;
  /** Rows so far that were computed in bf16 since f16 had no range for them, on all of its devices. */
  readonly rowsInBf16: number;
  readonly devices: readonly string[];
  readonly deviceNames: readonly string[];
  /** Of each of its engines on the CPU. */
  readonly threads: number;
  readonly maxLength: number;
  readonly maxBatchTokens: number;
  readonly labels: readonly string[];
  /** LoRA pairs applied, LoRA tensors that fitted nothing, alpha / rank. */
  readonly adapterMatched: number;
  readonly adapterUnmatched: number;
  readonly adapterScale: number;
  readonly weightBytes: number;
}

/** What becomes of a row that some model's parser refuses: left out, the end of the run, or a third for each answer. */
export type BadRowPolicy = 'skip' | 'fail' | 'uniform';

export interface BadRow {
  readonly id: string;
  /** 1-based record number, the header not counted. */
  readonly row: number;
  readonly column: string | undefined;
  readonly code: ErrorCode;
  readonly message: string;
}

/** Work of one device since the run began. */
export interface DeviceProgress {
  readonly device: string;
  /** Tokens scored, padding not counted. */
  readonly tokens: number;
  readonly busySeconds: number;
}

export interface Progress {
  readonly stage: 'parsing' | 'tokenizing' | 'scoring';
  /** Rows that every model has finished with in this stage. */
  readonly rowsDone: number;
  readonly rowsTotal: number;
  /** Token-model pairs scored so far, and in all (0 until everything is tokenized). */
  readonly tokensDone: number;
  readonly tokensTotal: number;
  readonly seconds: number;
  readonly devices: readonly DeviceProgress[];
}

export interface RecordsOptions {
  /** Default: 'fail'. */
  readonly onBadRow?: BadRowPolicy;
  /** Called at most about ten times a second, and once at the end. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: Signal;
}

export interface ScoredRecord {
  readonly id: string;
  readonly row: number;
  readonly preference: Preference;
}

export interface RecordsOutcome {
  /** In input order; without the rows that were skipped. */
  readonly scores: readonly ScoredRecord[];
  readonly badRows: readonly BadRow[];
  readonly tokens: number;
  readonly seconds: number;
  readonly devices: readonly DeviceProgress[];
}

/** What a run over these rows would do, without doing it. */
export interface DryRun {
  readonly rows: number;
  readonly badRows: readonly BadRow[];
  readonly models: readonly ModelPlan[];
}

export interface ModelPlan {
  readonly name: string;
  readonly devices: readonly string[];
  readonly sequences: number;
  readonly tokens: number;
  /** Tokens with the padding of each batch. */
  readonly paddedTokens: number;
  readonly longest: number;
  /** Sequences that reach maxLength: cut, or exactly as long. */
  readonly atMaxLength: number;
  readonly batches: number;
}
