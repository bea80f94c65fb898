import { PairscoreError, type ErrorCode, type PairscoreErrorOptions } from '../errors';

/** An error of the input; its message starts with the place in the file, as far as it is known. */
export function inputFault(code: ErrorCode, message: string, options: PairscoreErrorOptions): PairscoreError {
  const { row, id, column } = options;
  const where = [
    ...(row === undefined ? [] : [`row ${row}${id === undefined ? '' : ` (id ${shortened(id)})`}`]),
    ...(column === undefined ? [] : [`column ${shortened(column)}`]),
  ].join(', ');
  if (where === '') return new PairscoreError(code, message, options);
  return new PairscoreError(code, `${where.charAt(0).toUpperCase()}${where.slice(1)}: ${message}`, options);
}

/** How much of a file's own names a message carries. */
const SHOWN_NAME = 80;

export function shortened(name: string): string {
  return name.length > SHOWN_NAME ? `${name.slice(0, SHOWN_NAME)}…` : name;
}
