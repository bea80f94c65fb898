import { cellError } from './cell-error';
import { readList, type Item, type ListSyntax } from './list';
import { isStringAt, readPythonString, wordAt } from './python-string';

const BLANK_STARTS = ' \t\f\n\r#\\';
const BLANK = /[ \t\f\n\r]+/y;
const COMMENT = /#[^\n\r]*/y;
const CONTINUATION = /\\(?:\r\n|\n|\r(?!\n))(?=[^])/y;
/** Indentation behind a line end; a form feed starts the line anew. */
const INDENTED = /[^\\][\n\r][ \t\f]*[ \t]$|^[\n\r][ \t\f]*[ \t]$/;

const PYTHON_LIST: ListSyntax = {
  name: 'a Python list',
  trailingComma: 'allowed',
  skipBlanks: skipPythonBlanks,
  readItem: readPythonItem,
};

/**
 * Reads a cell as `eval(cell, {'null': ''})` in Python would, as far as the cell is a list of strings and nulls.
 * Everything else that Python could evaluate (calls, sums, f-strings, bytes, numbers, None, nested lists) is refused.
 */
export function parsePython(cell: string): readonly (string | null)[] {
  const nul = cell.indexOf('\0');
  if (nul !== -1) throw cellError(cell, nul, 'no NUL character');
  const start = skipPythonBlanks(cell, 0);
  if (INDENTED.test(cell.slice(Math.max(0, lineStart(cell, start) - 2), start))) {
    throw cellError(cell, start, 'no indentation of a list below the first line');
  }
  if (wordAt(cell, start) === 'null') {
    expectEnd(cell, start + 'null'.length);
    return [null];
  }
  const list = readList(cell, start, PYTHON_LIST);
  expectEnd(cell, list.end);
  return list.items;
}

function lineStart(cell: string, at: number): number {
  return Math.max(cell.lastIndexOf('\n', at - 1), cell.lastIndexOf('\r', at - 1)) + 1;
}

function expectEnd(cell: string, at: number): void {
  const end = skipPythonBlanks(cell, at);
  if (end < cell.length) throw cellError(cell, end, 'nothing behind the list');
}

function skipPythonBlanks(cell: string, at: number): number {
  let end = at;
  for (;;) {
    if (!BLANK_STARTS.includes(cell.charAt(end))) return end;
    const before = end;
    end = skip(BLANK, cell, end);
    end = skip(COMMENT, cell, end);
    end = skip(CONTINUATION, cell, end);
    if (end === before) return end;
  }
}

function skip(pattern: RegExp, cell: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(cell) ? pattern.lastIndex : at;
}

function readPythonItem(cell: string, at: number): Item {
  if (isStringAt(cell, at)) return readAdjacentStrings(cell, at);
  if (wordAt(cell, at) === 'null') return { value: null, end: at + 'null'.length };
  throw cellError(cell, at, 'a string or null');
}

/** `'a' "b"` is one string. */
function readAdjacentStrings(cell: string, at: number): Item {
  let { value, end } = readPythonString(cell, at);
  for (;;) {
    const next = skipPythonBlanks(cell, end);
    if (!isStringAt(cell, next)) return { value, end };
    const more = readPythonString(cell, next);
    value += more.value;
    end = more.end;
  }
}
