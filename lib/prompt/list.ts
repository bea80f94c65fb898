import { cellError } from './cell-error';

/** A turn as it was read, and the offset behind it. */
export interface Item {
  readonly value: string | null;
  readonly end: number;
}

/** What differs between list literals of different languages. */
export interface ListSyntax {
  /** 'a Python list', for messages. */
  readonly name: string;
  readonly trailingComma: 'allowed' | 'refused';
  /** Offset of the first character at or behind `at` that means something. */
  readonly skipBlanks: (cell: string, at: number) => number;
  /** Reads the item that starts at `at`, or throws. */
  readonly readItem: (cell: string, at: number) => Item;
}

export interface List {
  readonly items: readonly (string | null)[];
  readonly end: number;
}

/** Reads `[item, item]` that starts at `start`. Linear in the cell's length. */
export function readList(cell: string, start: number, syntax: ListSyntax): List {
  if (cell[start] !== '[') throw cellError(cell, start, `${syntax.name} that opens with [`);
  const items: (string | null)[] = [];
  let at = syntax.skipBlanks(cell, start + 1);
  if (cell[at] === ']') return { items, end: at + 1 };
  for (;;) {
    const item = syntax.readItem(cell, at);
    items.push(item.value);
    at = syntax.skipBlanks(cell, item.end);
    if (cell[at] === ']') return { items, end: at + 1 };
    if (cell[at] !== ',') throw cellError(cell, at, ', or ]');
    at = syntax.skipBlanks(cell, at + 1);
    if (cell[at] === ']' && syntax.trailingComma === 'allowed') return { items, end: at + 1 };
  }
}
