import { PairscoreError, type ErrorCode, type PairscoreErrorOptions } from '../errors';

/** An error of the input; its message starts with the place in the file, as far as it is known. */
export function inputFault(code: ErrorCode, message: string, options: PairscoreErrorOptions): PairscoreError {
  const { row, column } = options;
  const parts = [
    ...(row === undefined ? [] : [`row ${row}`]),
    ...(column === undefined ? [] : [`column ${column.slice(0, SHOWN_NAME)}`]),
  ];
  const where = parts.join(', ');
  const text = where === '' ? message : `${where.charAt(0).toUpperCase()}${where.slice(1)}: ${message}`;
  return new PairscoreError(code, text, options);
}

const SHOWN_NAME = 80;
