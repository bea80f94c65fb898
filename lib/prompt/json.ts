import { cellError } from './cell-error';
import { readList, type Item, type ListSyntax } from './list';

const BLANK = /[ \t\n\r]*/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const FIRST_PRINTABLE = 0x20;

const JSON_LIST: ListSyntax = {
  name: 'a JSON list',
  trailingComma: 'refused',
  skipBlanks: skipJsonBlanks,
  readItem: readJsonItem,
};

/** Reads a cell as a JSON array of strings and nulls. A bare `null` is one missing turn. */
export function parseJson(cell: string): readonly (string | null)[] {
  const start = skipJsonBlanks(cell, 0);
  const list = cell.startsWith('null', start)
    ? { items: [null], end: start + 'null'.length }
    : readList(cell, start, JSON_LIST);
  const end = skipJsonBlanks(cell, list.end);
  if (end < cell.length) throw cellError(cell, end, 'nothing behind the list');
  return list.items;
}

function skipJsonBlanks(cell: string, at: number): number {
  BLANK.lastIndex = at;
  BLANK.test(cell);
  return BLANK.lastIndex;
}

function readJsonItem(cell: string, at: number): Item {
  if (cell.startsWith('null', at)) return { value: null, end: at + 'null'.length };
  if (cell[at] !== '"') throw cellError(cell, at, 'a string or null');
  const end = stringEnd(cell, at);
  return { value: decode(cell, at, end), end };
}

function stringEnd(cell: string, start: number): number {
  for (let at = start + 1; at < cell.length; at += 1) {
    const code = cell.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    if (code < FIRST_PRINTABLE) throw cellError(cell, at, 'no raw control character in a string');
    if (code === BACKSLASH) at += 1;
  }
  throw cellError(cell, cell.length, '"');
}

function decode(cell: string, start: number, end: number): string {
  try {
    const value: unknown = JSON.parse(cell.slice(start, end));
    return String(value);
  } catch {
    throw cellError(cell, badEscape(cell, start, end), 'an escape that JSON knows');
  }
}

/** Everything else in the string was checked, so only an escape can be wrong. */
function badEscape(cell: string, start: number, end: number): number {
  const bad = /\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}|([^]))/g;
  bad.lastIndex = start;
  for (let found = bad.exec(cell); found !== null && found.index < end; found = bad.exec(cell)) {
    if (found[1] !== undefined) return found.index;
  }
  return start;
}
