import { PairscoreError } from '../errors';

const SHOWN_CHARACTERS = 24;

/** What stands at an offset of a cell, short enough for a message. */
export function shown(cell: string, offset: number): string {
  if (offset >= cell.length) return 'the end of the cell';
  const rest = cell.slice(offset, offset + SHOWN_CHARACTERS);
  return JSON.stringify(rest) + (offset + SHOWN_CHARACTERS < cell.length ? '…' : '');
}

/** The one error of this room: a cell that is no list of turns under the model's parser. Offsets count UTF-16 units. */
export function cellError(cell: string, offset: number, expected: string): PairscoreError {
  return new PairscoreError(
    'ERR_INPUT_CELL',
    `Expected ${expected} at offset ${offset} of the cell but received ${shown(cell, offset)}`,
  );
}
