/** Rows of a file -> the texts that each model reads, and the rows that some model's parser refuses. */

import { visitInSlices } from './batches/slices';
import { columnOfPart } from './csv/columns';
import { inputFault } from './csv/fault';
import { PairscoreError } from './errors';
import type { ModelSpec } from './model/spec';
import type { BadRow, BadRowPolicy } from './outcome';
import type { PairRecord, PairText } from './pair';
import { pairTextFromCells } from './prompt/pair-text';
import type { Signal } from './signal';

export interface ParsedRecords {
  /** Rows that every model's parser accepts, in input order. */
  readonly records: readonly PairRecord[];
  /** By model, then by row of `records`. */
  readonly texts: readonly (readonly PairText[])[];
  readonly badRows: readonly BadRow[];
}

export interface ParseOptions {
  readonly policy: BadRowPolicy;
  readonly signal: Signal;
}

/** Under 'fail' throws ERR_INPUT_CELL for the first bad row. */
export async function parseRecords(
  records: readonly PairRecord[],
  specs: readonly ModelSpec[],
  options: ParseOptions,
): Promise<ParsedRecords> {
  const good: PairRecord[] = [];
  const badRows: BadRow[] = [];
  const texts = specs.map((): PairText[] => []);
  const parse = (record: PairRecord): void => {
    const parsed = parseRecord(record, specs);
    if (parsed instanceof PairscoreError) {
      if (options.policy === 'fail') throw parsed;
      badRows.push(toBadRow(record, parsed));
      return;
    }
    good.push(record);
    parsed.forEach((text, model) => texts[model]?.push(text));
  };
  await visitInSlices(records, parse, options.signal);
  return { records: good, texts, badRows };
}

/** Models of one parser, null policy and joiner share their texts: parsing is done once. */
function parseRecord(record: PairRecord, specs: readonly ModelSpec[]): readonly PairText[] | PairscoreError {
  const done = new Map<string, PairText>();
  try {
    return specs.map((spec) => {
      const key = JSON.stringify([spec.parser, spec.nullText, spec.joiner]);
      const text = done.get(key) ?? pairTextFromCells(record.cells, spec);
      done.set(key, text);
      return text;
    });
  } catch (error) {
    if (!(error instanceof PairscoreError)) throw error;
    const { column } = error.place;
    const place = { row: record.row, id: record.id, ...(column === undefined ? {} : { column: columnOfPart(column) }) };
    return inputFault(error.code, error.message, { ...place, cause: error });
  }
}

function toBadRow(record: PairRecord, error: PairscoreError): BadRow {
  const { code, message, place } = error;
  return { id: record.id, row: record.row, column: place.column, code, message };
}
