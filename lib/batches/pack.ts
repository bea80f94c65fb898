/** Token lists end to end, as an engine reads them, and its logits back to one list a row. */

import { PairscoreError } from '../errors';

export interface Packed {
  readonly tokens: Int32Array;
  /** (rows + 1) */
  readonly offsets: Int32Array;
}

export function packBatch(rows: readonly Int32Array[]): Packed {
  const offsets = new Int32Array(rows.length + 1);
  rows.forEach((row, i) => {
    offsets[i + 1] = (offsets[i] ?? 0) + row.length;
  });
  const tokens = new Int32Array(offsets[rows.length] ?? 0);
  rows.forEach((row, i) => tokens.set(row, offsets[i] ?? 0));
  return { tokens, offsets };
}

/** logits: (rows, labels), row-major. */
export function unpackLogits(logits: Float32Array, rows: number): readonly Float32Array[] {
  const labels = logits.length / rows;
  if (!Number.isInteger(labels)) {
    throw new PairscoreError('ERR_INTERNAL', `Expected a multiple of ${rows} logits but received ${logits.length}`);
  }
  return Array.from({ length: rows }, (_, row) => logits.slice(row * labels, (row + 1) * labels));
}
