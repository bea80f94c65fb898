/** Opens what the addon offers. Every error that leaves here is a PairscoreError with the addon's code and reason. */

import { cancellable } from '../abort';
import { PairscoreError, hasErrorCode } from '../errors';
import type {
  BuildInfo,
  EngineInfo,
  EngineSpec,
  NativeEngine,
  NativeTokenizer,
  RowsSpec,
  TokenLists,
  TokenizerSpec,
} from './contract';
import type { Signal } from '../signal';
import { loadAddon } from './load';

export function buildInfo(): BuildInfo {
  const addon = loadAddon();
  return typedNow(() => addon.buildInfo());
}

/** The signal ends only the opening. */
export async function openEngine(spec: EngineSpec, signal?: Signal): Promise<NativeEngine> {
  const addon = loadAddon();
  const stop = addon.newStop();
  const open = (): Promise<NativeEngine> => typed(() => addon.openEngine(spec, stop));
  return new Engine(await cancellable(signal, open, () => stop.request()));
}

/** The signal ends only the opening. */
export async function openTokenizer(spec: TokenizerSpec, signal?: Signal): Promise<NativeTokenizer> {
  const addon = loadAddon();
  const stop = addon.newStop();
  const open = (): Promise<NativeTokenizer> => typed(() => addon.openTokenizer(spec, stop));
  return new Tokenizer(await cancellable(signal, open, () => stop.request()));
}

/** The (rank, columns) and (rows, rank) factors of a product to be added to rows; empty for none. */
export interface Factors {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

export async function convertRows(spec: RowsSpec, rows: Uint8Array, factors: Factors): Promise<Uint8Array> {
  const addon = loadAddon();
  return typed(() => addon.convertRows(spec, rows, factors.a, factors.b));
}

class Engine implements NativeEngine {
  constructor(private readonly native: NativeEngine) {}

  info(): EngineInfo {
    return typedNow(() => this.native.info());
  }

  score(tokens: Int32Array, offsets: Int32Array): Promise<Float32Array> {
    return typed(() => this.native.score(tokens, offsets));
  }

  close(): Promise<void> {
    return typed(() => this.native.close());
  }
}

class Tokenizer implements NativeTokenizer {
  constructor(private readonly native: NativeTokenizer) {}

  tokenize(texts: readonly string[], parseSpecial: boolean): Promise<TokenLists> {
    return typed(() => this.native.tokenize(texts, parseSpecial));
  }

  close(): Promise<void> {
    return typed(() => this.native.close());
  }
}

async function typed<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asPairscoreError(error);
  }
}

function typedNow<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asPairscoreError(error);
  }
}

function asPairscoreError(error: unknown): unknown {
  if (error instanceof PairscoreError || !hasErrorCode(error)) return error;
  return new PairscoreError(error.code, error.message, { cause: error });
}
