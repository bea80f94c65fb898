import { cellError } from './cell-error';
import { readEscape, readRawEscape } from './python-escape';
import type { Item } from './list';

/** A string literal, value and end; the value is never null. */
export interface StringItem extends Item {
  readonly value: string;
}

/** Where a literal's body starts and what closes it. */
interface Opening {
  readonly quote: string;
  readonly raw: boolean;
  readonly body: number;
}

const WORD = /[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*/y;
const BACKSLASH = 0x5c;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** The name at `at`, or ''. */
export function wordAt(cell: string, at: number): string {
  WORD.lastIndex = at;
  return WORD.exec(cell)?.[0] ?? '';
}

/** True where a string literal starts, with any prefix, known or not. */
export function isStringAt(cell: string, at: number): boolean {
  const first = cell[at];
  if (first === '"' || first === "'") return true;
  const next = cell[at + wordAt(cell, at).length];
  return next === '"' || next === "'";
}

/** Reads one string literal as Python does, without adjacent literals. */
export function readPythonString(cell: string, at: number): StringItem {
  const prefix = cell[at] === '"' ? '' : wordAt(cell, at).toLowerCase();
  if (prefix !== '' && prefix !== 'r' && prefix !== 'u') {
    throw cellError(cell, at, 'a string without prefix, or with prefix r or u,');
  }
  const start = at + prefix.length;
  const quote = cell.startsWith('"""', start) || cell.startsWith("'''", start) ? 3 : 1;
  return readBody(cell, { quote: cell.slice(start, start + quote), raw: prefix === 'r', body: start + quote });
}

function readBody(cell: string, opening: Opening): StringItem {
  const quote = opening.quote.charCodeAt(0);
  let text = '';
  let run = opening.body;
  let at = run;
  while (at < cell.length) {
    const code = cell.charCodeAt(at);
    if (code === BACKSLASH) {
      const escape = opening.raw ? readRawEscape(cell, at) : readEscape(cell, at);
      text += cell.slice(run, at) + escape.text;
      at = run = escape.end;
    } else if (code === quote && cell.startsWith(opening.quote, at)) {
      return { value: text + cell.slice(run, at), end: at + opening.quote.length };
    } else if (code === LINE_FEED || code === CARRIAGE_RETURN) {
      if (opening.quote.length === 1) throw cellError(cell, at, `${opening.quote} before the end of the line`);
      // Python reads every line end as \n.
      text += cell.slice(run, at) + '\n';
      at = run = at + (cell.startsWith('\r\n', at) ? 2 : 1);
    } else {
      at += 1;
    }
  }
  throw cellError(cell, cell.length, opening.quote);
}
