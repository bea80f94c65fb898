import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { CsvError, parse, type Parser } from 'csv-parse';
import { hasErrorCode, PairscoreError, type ErrorPlace } from '../errors';
import type { PairRecord } from '../pair';
import { collectPairs, type Collector } from './collect';
import { inputFault } from './fault';
import { checkedUtf8 } from './utf8';

/** A file of pairs, read and checked; its text cells are still as they stand in the file. */
export interface PairTable {
  readonly path: string;
  readonly records: readonly PairRecord[];
}

/**
 * Reads a file with a header and the columns id, prompt, response_a, response_b, and any others. UTF-8 with or without
 * a byte order mark, any line ends, strict quotes. Streams: the event loop is free between chunks.
 */
export async function readPairs(path: string, signal?: AbortSignal): Promise<PairTable> {
  const collector = collectPairs(path);
  const place = (): ErrorPlace => placeOf(path, collector);
  const chunks: AsyncIterable<Buffer> = createReadStream(path);
  const options = signal === undefined ? {} : { signal };
  try {
    await pipeline(checkedUtf8(chunks, place), csvParser(collector).resume(), options);
  } catch (error) {
    throw signal?.aborted === true ? aborted(error) : inputError(error, place(), collector);
  }
  return { path, records: collector.finish() };
}

function csvParser(collector: Collector): Parser {
  return parse({
    bom: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    skip_empty_lines: true,
    // Counted by the collector, which names the row.
    relax_column_count: true,
    // Nothing is pushed on: the records live in the collector.
    on_record: (record: readonly string[]) => {
      collector.take(record);
      return null;
    },
  });
}

/** The place behind the last whole record. */
function placeOf(file: string, collector: Collector): ErrorPlace {
  const count = collector.count();
  return count < 0 ? { file } : { file, row: count + 1 };
}

function inputError(error: unknown, place: ErrorPlace, collector: Collector): unknown {
  if (hasErrorCode(error)) return error;
  if (error instanceof CsvError) return csvError(error, place, collector);
  if (!(error instanceof Error && 'syscall' in error)) return error;
  const message = `Expected a readable file for the input but received ${error.message}`;
  return inputFault('ERR_INPUT_FILE', message, { ...place, cause: error });
}

const CSV_FAULTS: ReadonlyMap<string, string> = new Map([
  ['CSV_QUOTE_NOT_CLOSED', 'Expected a closing quote for this cell but received the end of the file'],
  ['CSV_INVALID_CLOSING_QUOTE', 'Expected a comma or a line end behind a closing quote but received more text'],
  ['INVALID_OPENING_QUOTE', 'Expected quotes around the whole cell, doubled inside, but received one in its middle'],
]);

function csvError(error: CsvError, place: ErrorPlace, collector: Collector): PairscoreError {
  const message = CSV_FAULTS.get(error.code) ?? `Expected valid CSV but received: ${error.message}`;
  const index: unknown = error['column'];
  const column = typeof index === 'number' ? collector.columnName(index) : undefined;
  const where = column === undefined ? place : { ...place, column };
  return inputFault('ERR_INPUT_CSV', message, { ...where, cause: error });
}

function aborted(cause: unknown): PairscoreError {
  return new PairscoreError('ERR_ABORTED', 'Expected to read the whole input but received an abort signal', { cause });
}
