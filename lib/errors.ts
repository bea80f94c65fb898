/**
 * The closed set of error codes. A code, once released, keeps its meaning; messages may change.
 * The native addon uses the same strings (native/error.h); test/contract.test.ts compares the two tables.
 */

/** Process exit codes by family of error. */
export const EXIT = { ok: 0, internal: 1, usage: 2, input: 3, model: 4, device: 5, sigint: 130, sigterm: 143 } as const;

/** Every code and the exit code that the command line answers it with. */
export const ERROR_CODES = {
  /** A bug in pairscore, or a failure that no other code names. */
  ERR_INTERNAL: EXIT.internal,
  /** The caller's AbortSignal fired. */
  ERR_ABORTED: EXIT.internal,
  /** A method was called on something closed. */
  ERR_CLOSED: EXIT.internal,
  /** A command line flag or an argument of a function is wrong. */
  ERR_USAGE: EXIT.usage,
  /** An ensemble file or a setting is wrong. */
  ERR_CONFIG: EXIT.usage,
  /** The output cannot be written. */
  ERR_OUTPUT: EXIT.usage,
  /** The input file cannot be opened or read. */
  ERR_INPUT_FILE: EXIT.input,
  /** The input is no valid UTF-8. */
  ERR_INPUT_ENCODING: EXIT.input,
  /** The input breaks CSV syntax. */
  ERR_INPUT_CSV: EXIT.input,
  /** A column is missing or stands twice. */
  ERR_INPUT_COLUMN: EXIT.input,
  /** An id is empty or stands twice. */
  ERR_INPUT_ID: EXIT.input,
  /** The input holds no rows. */
  ERR_INPUT_EMPTY: EXIT.input,
  /** A cell is no list of turns under the model's parser. */
  ERR_INPUT_CELL: EXIT.input,
  /** A model file is missing, unreadable, truncated or of another format. */
  ERR_MODEL_FILE: EXIT.model,
  /** A manifest breaks its schema. */
  ERR_MODEL_MANIFEST: EXIT.model,
  /** A model file has another sha256 than its manifest says. */
  ERR_MODEL_HASH: EXIT.model,
  /** Base, adapter, head, tokenizer and manifest do not belong together. */
  ERR_MODEL_MISMATCH: EXIT.model,
  /** Weights or activations are not finite. */
  ERR_MODEL_VALUES: EXIT.model,
  /** The native tokenizer and tokenizer.json disagree. */
  ERR_TOKENIZER_MISMATCH: EXIT.model,
  /** The device does not exist, or this build does not drive it. */
  ERR_DEVICE_UNKNOWN: EXIT.device,
  /** The device has too little memory. */
  ERR_DEVICE_MEMORY: EXIT.device,
  /** The device failed while at work. */
  ERR_DEVICE_FAILED: EXIT.device,
  /** The native addon cannot be loaded on this machine. */
  ERR_ADDON: EXIT.device,
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** Where an error was found. Every field is optional: an error says what it knows. */
export interface ErrorPlace {
  readonly file?: string;
  /** 1-based record number in a CSV file, the header not counted. */
  readonly row?: number;
  readonly column?: string;
  readonly id?: string;
}

export interface PairscoreErrorOptions extends ErrorPlace {
  readonly cause?: unknown;
}

/** The one error class that pairscore throws. Branch on `code`, never on the message. */
export class PairscoreError extends Error {
  override readonly name = 'PairscoreError';
  readonly code: ErrorCode;
  readonly place: ErrorPlace;

  constructor(code: ErrorCode, message: string, options: PairscoreErrorOptions = {}) {
    const { cause, ...place } = options;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.place = place;
  }
}

/** True for a PairscoreError of any realm, and for the addon's errors, which carry the same codes. */
export function hasErrorCode(error: unknown): error is Error & { readonly code: ErrorCode } {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'string' &&
    Object.hasOwn(ERROR_CODES, error.code)
  );
}
