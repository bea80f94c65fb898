/** A vocabulary's merges alone, without the expression that splits texts before them. */

import type { KnownEnd } from './certain';

export interface CertainIds {
  readonly ids: Int32Array;
  /** Bytes that they stand for. */
  readonly length: number;
}

/** A stretch is text as byte-level.ts writes it. */
export interface Merger {
  merge(stretch: string): Promise<Int32Array>;
  /** Ids at the known end of a longer stretch, whatever stands beyond, or null where none is certain. */
  certain(known: string, end: KnownEnd): Promise<CertainIds | null>;
}
