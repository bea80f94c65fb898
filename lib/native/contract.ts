/**
 * The addon's whole surface, written once. Above each JS-visible C++ method stands its signature from here, and
 * test/contract.test.ts holds the two together. All fields are required: defaults belong to TypeScript.
 */

import type { Compute, WeightStorage } from '../compute';

/** What one engine needs to open: one model on one device. */
export interface EngineSpec {
  /** Base GGUF. */
  readonly basePath: string;
  /** LoRA GGUF, or '' for a model whose adapter is merged into its base. */
  readonly adapterPath: string;
  /** Head GGUF: score.weight (labels, hidden) F32, optional score.bias (labels). */
  readonly headPath: string;
  /** 'cpu' or 'cuda:N'. */
  readonly device: string;
  /** CPU threads of this engine. */
  readonly threads: number;
  /** Most tokens in one batch, padding included. */
  readonly maxBatchTokens: number;
  /** Most tokens in one sequence. */
  readonly maxSequenceTokens: number;
  /** Most sequences in one batch. */
  readonly maxBatchSequences: number;
  /** Whether attention logits are soft-capped where the architecture has a soft-cap. */
  readonly attentionSoftCap: boolean;
  /** What a GPU multiplies in, or 'ggml': libllama's engine on any device. */
  readonly compute: Compute;
  /** 'resident' (16-bit copies) or 'streamed' (quantised, expanded a layer at a time), on a GPU. */
  readonly weights: WeightStorage;
}

/** What an engine found in its files and on its device. */
export interface EngineInfo {
  /** 'gemma2' or 'llama'. */
  readonly architecture: string;
  /** The base's quantisation, in llama.cpp's words ("Q4_K - Medium"). */
  readonly quantization: string;
  /** What the products are computed in: 'bf16', 'f16' or 'fp8' by the CUDA engine, 'ggml' by libllama's. */
  readonly compute: string;
  /** Rows so far that an engine of f16 computed in bf16, since f16 had no range for them. Grows with score() alone. */
  readonly rowsInBf16: number;
  readonly device: string;
  readonly deviceName: string;
  readonly hiddenSize: number;
  readonly layerCount: number;
  readonly vocabularySize: number;
  readonly labelCount: number;
  /** Label names from the head, or [] where it has none. */
  readonly labels: readonly string[];
  /** LoRA pairs (a and b counted as one) that were applied. */
  readonly adapterMatched: number;
  /** LoRA tensors in the file that fit no tensor of the base: always 0 on an engine that opened. */
  readonly adapterUnmatched: number;
  /** alpha / rank, or 0 without an adapter. */
  readonly adapterScale: number;
  readonly weightBytes: number;
}

/** One model on one device. Calls run one after another, off the event loop. */
export interface NativeEngine {
  info(): EngineInfo;
  /**
   * Scores rows. tokens: ids of all rows, end to end; offsets: (rows + 1), row i is tokens[offsets[i] .. offsets[i+1]).
   * Resolves to logits (rows, labels), row-major; those of a row that overflowed are not finite.
   */
  score(tokens: Int32Array, offsets: Int32Array): Promise<Float32Array>;
  /** Waits for the call in flight. Idempotent. */
  close(): Promise<void>;
}

export interface TokenizerSpec {
  /** GGUF that holds the vocabulary: a model's base. Only its vocabulary is loaded. */
  readonly basePath: string;
  /** Threads that share the texts of one call. */
  readonly threads: number;
}

/** Token ids of several texts, end to end. */
export interface TokenLists {
  readonly tokens: Int32Array;
  /** (texts + 1) */
  readonly offsets: Int32Array;
}

/** llama.cpp's tokenizer for one vocabulary. Adds no bos, no eos: lib/tokens does. */
export interface NativeTokenizer {
  /** parseSpecial: whether the strings of control tokens inside a text become those tokens. */
  tokenize(texts: readonly string[], parseSpecial: boolean): Promise<TokenLists>;
  /** Waits for the calls in flight. Idempotent. */
  close(): Promise<void>;
}

/** Rows of a tensor and the type they are to become. */
export interface RowsSpec {
  /** ggml's name of the type of the rows that come in: 'f32', 'bf16', 'q4_K'. */
  readonly from: string;
  readonly to: string;
  readonly columns: number;
  readonly threads: number;
}

/** Ends openings early. Any number of them may share one. */
export interface NativeStop {
  /** Openings that hold this, now and later, reject soon with ERR_CLOSED. What is open already stays open. */
  request(): void;
}

export interface DeviceInfo {
  /** 'cpu' or 'cuda:N'. */
  readonly device: string;
  readonly name: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

export interface BuildInfo {
  /** 'cpu' or 'cuda'. */
  readonly flavour: string;
  /** Version of the pinned llama.cpp. */
  readonly llamaVersion: string;
  /** The CPU features this binary was compiled for, in ggml's words. */
  readonly systemInfo: string;
  readonly devices: readonly DeviceInfo[];
  /** Every error code that the addon can throw. */
  readonly errorCodes: readonly string[];
}

export interface NativeAddon {
  buildInfo(): BuildInfo;
  newStop(): NativeStop;
  openEngine(spec: EngineSpec, stop: NativeStop): Promise<NativeEngine>;
  openTokenizer(spec: TokenizerSpec, stop: NativeStop): Promise<NativeTokenizer>;
  /**
   * Whole rows (rows, columns) in another type, by ggml's own quantisers. b (rows, rank) x a (rank, columns) is added
   * first; both are empty where nothing is.
   */
  convertRows(spec: RowsSpec, rows: Uint8Array, a: Float32Array, b: Float32Array): Promise<Uint8Array>;
}
