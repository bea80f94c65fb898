import { cellError } from './cell-error';

/** The text that an escape stands for, and the offset behind it. */
export interface Escape {
  readonly text: string;
  readonly end: number;
}

/**
 * What the tokenizers that these models were trained with made of a surrogate: three replacement characters, one for
 * each byte of its UTF-8-like form. Under Python an escaped pair stays two surrogates, so it becomes six.
 */
export const SURROGATE_TEXT = '\ufffd\ufffd\ufffd';

const SIMPLE: ReadonlyMap<string, string> = new Map([
  ['\n', ''],
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
]);

/** Hexadecimal digits that must follow \x, \u and \U. */
const HEX_DIGITS: ReadonlyMap<string, number> = new Map([
  ['x', 2],
  ['u', 4],
  ['U', 8],
]);

const HEX = /^[0-9A-Fa-f]+$/;
const OCTAL = /[0-7]{1,3}/y;
const LAST_CODE_POINT = 0x10ffff;

/** Reads the escape whose backslash stands at `at` in a string without prefix r. */
export function readEscape(cell: string, at: number): Escape {
  const letter = cell[at + 1];
  if (letter === undefined) throw cellError(cell, at + 1, 'a character behind the backslash');
  if (letter === '\r') return { text: '', end: at + (cell[at + 2] === '\n' ? 3 : 2) };
  const simple = SIMPLE.get(letter);
  if (simple !== undefined) return { text: simple, end: at + 2 };
  const digits = HEX_DIGITS.get(letter);
  if (digits !== undefined) return readHex(cell, at, digits);
  if (letter >= '0' && letter <= '7') return readOctal(cell, at);
  if (letter === 'N') throw cellError(cell, at, 'an escape other than \\N{name}, which pairscore does not know,');
  // Python keeps the backslash of an escape that it does not know: \/ stays \/.
  return { text: '\\', end: at + 1 };
}

/** In a raw string the backslash stays, but it still keeps a quote from closing and a line end from breaking. */
export function readRawEscape(cell: string, at: number): Escape {
  const isCarriageReturn = cell[at + 1] === '\r';
  if (!isCarriageReturn) return { text: cell.slice(at, at + 2), end: at + 2 };
  return { text: '\\\n', end: at + (cell[at + 2] === '\n' ? 3 : 2) };
}

function readHex(cell: string, at: number, digits: number): Escape {
  const end = at + 2 + digits;
  const hex = cell.slice(at + 2, end);
  if (hex.length !== digits || !HEX.test(hex)) {
    throw cellError(cell, at, `${digits} hexadecimal digits behind \\${cell[at + 1]}`);
  }
  const code = Number.parseInt(hex, 16);
  if (code > LAST_CODE_POINT) throw cellError(cell, at, 'a code point up to \\U0010ffff');
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  return { text: isSurrogate ? SURROGATE_TEXT : String.fromCodePoint(code), end };
}

function readOctal(cell: string, at: number): Escape {
  OCTAL.lastIndex = at + 1;
  const octal = OCTAL.exec(cell)?.[0] ?? '0';
  return { text: String.fromCharCode(Number.parseInt(octal, 8)), end: at + 1 + octal.length };
}
