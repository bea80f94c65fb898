/** What a caller may set, and the same thing with every default filled in. */

import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Compute, WeightStorage } from './compute';
import { PairscoreError } from './errors';
import type { Orientation } from './pair';
import type { Signal } from './signal';

/** Everything has a default: the bundled demo on the devices that its ensemble file names. */
export interface ScorerOptions {
  /** Path of an ensemble file. Default: the bundled demo. */
  readonly ensemble?: string;
  /** Puts every model on this device ('cpu', 'cuda:N', 'auto') or these devices, whatever the ensemble file says. */
  readonly device?: string | readonly string[];
  /** CPU threads in all, at most four times what the machine offers, or 64. Default: what it offers. */
  readonly threads?: number;
  /** Tokens a row, at most 1,048,576, in place of each manifest's maxLength. */
  readonly maxLength?: number;
  /** Most tokens in one batch, padding included. */
  readonly batchTokens?: number;
  /** Scores each pair a second time with A and B swapped, and averages. */
  readonly tta?: boolean;
  /** Gives prompt, A and B a third of maxLength each, as the reference notebook's option of that name. */
  readonly spreadMaxLength?: boolean;
  /** 'native' is checked against tokenizer.json on a sample; 'hf' uses tokenizer.json for everything. */
  readonly tokenizer?: TokenizerChoice;
  /** What a GPU multiplies in ('bf16', 'f16', 'fp8'), or 'ggml': llama.cpp's engine. Default: bf16, f16 before sm_80. */
  readonly compute?: Compute;
  /** Whether a GPU keeps 16-bit copies ('resident') or quantised weights ('streamed'). Default: what fits. */
  readonly weights?: WeightStorage;
  /** Most pairs that scorePairs takes from its source ahead of the pair it yields. */
  readonly lookAhead?: number;
  /** Told in words what opening is about to do. */
  readonly onStage?: (stage: string) => void;
  /** Ends the opening, soon and holding nothing, with ERR_ABORTED. An open scorer no longer looks at it. */
  readonly signal?: Signal;
}

export type TokenizerChoice = 'native' | 'hf';

export const TOKENIZERS = ['native', 'hf'] as const satisfies readonly TokenizerChoice[];
export const COMPUTES = ['auto', 'bf16', 'f16', 'fp8', 'ggml'] as const satisfies readonly Compute[];
export const STORAGES = ['auto', 'resident', 'streamed'] as const satisfies readonly WeightStorage[];

/** ScorerOptions, checked. null: left to the ensemble file, the manifest or the device. */
export interface Settings {
  readonly ensemble: string;
  readonly devices: readonly string[] | null;
  readonly threads: number;
  readonly maxLength: number | null;
  readonly batchTokens: number | null;
  readonly orientations: readonly Orientation[];
  readonly spreadMaxLength: boolean;
  readonly tokenizer: TokenizerChoice;
  readonly compute: Compute;
  readonly weights: WeightStorage;
  readonly lookAhead: number;
  readonly onStage: (stage: string) => void;
  readonly signal: Signal | undefined;
}

export const BUNDLED_ENSEMBLE = resolve(__dirname, '..', 'models', 'ensemble.json');

const DEFAULT_LOOK_AHEAD = 256;
/** More only cost memory and spinning; the floor lets settings travel between machines. */
const MOST_THREADS = Math.max(64, 4 * availableParallelism());
/** As in a manifest. */
const MOST_TOKENS_A_ROW = 1_048_576;
const MOST = 0x7fffffff;
const DEVICE = /^(?:cpu|auto|cuda:(?:0|[1-9]\d*))$/;

const KEYS: ReadonlySet<string> = new Set([
  'ensemble',
  'device',
  'threads',
  'maxLength',
  'batchTokens',
  'tta',
  'spreadMaxLength',
  'tokenizer',
  'compute',
  'weights',
  'lookAhead',
  'onStage',
  'signal',
]);

/** What an error message calls a value. */
export function described(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return value.length > 60 ? `a string of ${value.length} characters` : `'${value}'`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

export function usageError(expected: string, key: string, received: unknown): PairscoreError {
  return new PairscoreError('ERR_USAGE', `Expected ${expected} for ${key} but received ${described(received)}`);
}

export function checkOptions(options: ScorerOptions): Settings {
  const given: unknown = options;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw usageError('an object', 'options', given);
  }
  for (const key of Object.keys(given)) {
    if (!KEYS.has(key)) throw new PairscoreError('ERR_USAGE', `Expected a known option but received '${key}'`);
  }
  return Object.freeze({
    ensemble: resolve(text(options.ensemble, 'ensemble') ?? BUNDLED_ENSEMBLE),
    devices: devices(options.device),
    threads: count(options.threads, 'threads', MOST_THREADS) ?? availableParallelism(),
    maxLength: count(options.maxLength, 'maxLength', MOST_TOKENS_A_ROW) ?? null,
    batchTokens: count(options.batchTokens, 'batchTokens', MOST) ?? null,
    orientations: flag(options.tta, 'tta') ? (['asGiven', 'swapped'] as const) : (['asGiven'] as const),
    spreadMaxLength: flag(options.spreadMaxLength, 'spreadMaxLength'),
    tokenizer: oneOf(TOKENIZERS, options.tokenizer, 'tokenizer'),
    compute: oneOf(COMPUTES, options.compute, 'compute'),
    weights: oneOf(STORAGES, options.weights, 'weights'),
    lookAhead: count(options.lookAhead, 'lookAhead', MOST) ?? DEFAULT_LOOK_AHEAD,
    onStage: listener(options.onStage, 'onStage'),
    signal: checkSignal(options.signal),
  });
}

function text(value: unknown, key: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw usageError('a path', key, value);
  return value;
}

function count(value: unknown, key: string, most: number): number | undefined {
  if (value === undefined) return undefined;
  const fits = typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most;
  if (!fits) throw usageError(`a whole number from 1 to ${most}`, key, value);
  return value;
}

function flag(value: unknown, key: string): boolean {
  if (value === undefined) return false;
  if (typeof value !== 'boolean') throw usageError('true or false', key, value);
  return value;
}

/** The first is the default. */
function oneOf<T extends string>(values: readonly [T, ...T[]], value: unknown, key: string): T {
  if (value === undefined) return values[0];
  const found = values.find((one) => one === value);
  if (found === undefined) throw usageError(values.map((one) => `'${one}'`).join(', '), key, value);
  return found;
}

function devices(value: unknown): readonly string[] | null {
  if (value === undefined) return null;
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) throw usageError('a device', 'device', 'an empty list');
  return list.map((device) => {
    if (typeof device !== 'string' || !DEVICE.test(device)) {
      throw usageError(`'cpu', 'cuda:N' or 'auto'`, 'device', device);
    }
    return device;
  });
}

/** A callback that does nothing where none is given. */
export function listener<T>(value: ((argument: T) => void) | undefined, key: string): (argument: T) => void {
  if (value === undefined) return () => undefined;
  if (typeof value !== 'function') throw usageError('a function', key, value);
  return value;
}

/** Of any realm: a test environment or a polyfill brings a class of its own. */
export function checkSignal(value: Signal | undefined): Signal | undefined {
  if (value === undefined) return undefined;
  if (!isSignal(value)) throw usageError('an AbortSignal', 'signal', value);
  return value;
}

function isSignal(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    'aborted' in value &&
    typeof value.aborted === 'boolean' &&
    'addEventListener' in value &&
    typeof value.addEventListener === 'function'
  );
}
