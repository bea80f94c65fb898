/** What passes between hf-tokenizer.ts and its thread, hf-worker.ts. */

import type { ErrorCode } from '../errors';
import type { SpecialTokensInText } from '../model/spec';
import type { KnownEnd } from './certain';
import type { TokenizerFacts } from './facts';
import type { CertainIds } from './merger';

export interface HfWorkerData {
  readonly folder: string;
  readonly specialTokens: SpecialTokensInText;
}

export type HfRequest =
  | { readonly id: number; readonly kind: 'encode'; readonly texts: readonly string[] }
  | { readonly id: number; readonly kind: 'merge'; readonly stretch: string; readonly known: KnownEnd | 'all' }
  | { readonly id: number; readonly kind: 'describe'; readonly ids: readonly number[] };

export interface HfFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly file: string | null;
}

/** The first message carries the facts or a failure and has id 0. */
export type HfReply =
  | { readonly id: number; readonly kind: 'facts'; readonly facts: TokenizerFacts }
  | { readonly id: number; readonly kind: 'encoded'; readonly lists: readonly Int32Array[] }
  | { readonly id: number; readonly kind: 'merged'; readonly certain: CertainIds | null }
  | { readonly id: number; readonly kind: 'described'; readonly tokens: Described }
  | { readonly id: number; readonly kind: 'failed'; readonly failure: HfFailure };

export interface Described {
  readonly pieces: readonly string[];
  /** What the ids say together. */
  readonly text: string;
}
