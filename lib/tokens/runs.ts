/** Stretches of one class of characters, which one match of Llama-3's expression can hold however long they are. */

import { classOf, type BoundaryFacts, type CharacterClass } from './boundaries';

/** Where a walk leaves a window. */
export type FarEnd = 'last' | 'first';

export interface Run {
  readonly kind: CharacterClass;
  /** UTF-16 units. */
  readonly length: number;
}

/** The run at the far end of a window, or null where the rest of it could move the borders of that match. */
export function runAt(window: string, farEnd: FarEnd): Run | null {
  const characters = Array.from(window);
  if (farEnd === 'last') characters.reverse();
  const classes = characters.map((character) => classOf(character.codePointAt(0) ?? 0));
  const [kind] = classes;
  if (kind === undefined || kind === 'unsure' || kind === 'digit') return null;
  const count = leading(classes, kind);
  const rest = classes.slice(count);
  const isCertain = farEnd === 'last' ? mayPrecede(rest, kind) : mayFollow(rest, kind);
  return isCertain ? { kind, length: characters.slice(0, count).join('').length } : null;
}

function leading(classes: readonly CharacterClass[], kind: CharacterClass): number {
  const end = classes.findIndex((other) => other !== kind);
  return end < 0 ? classes.length : end;
}

/** Outwards from the run: the punctuation whose match takes the line ends, and spaces, the last of which joins a match. */
function mayPrecede(rest: readonly CharacterClass[], kind: CharacterClass): boolean {
  if (kind === 'space') return rest.length === 0;
  const others = kind === 'newline' ? rest.slice(leading(rest, 'mark')) : rest;
  return others.every((one) => one === 'space');
}

/** The word or the punctuation that takes the last of the spaces. */
function mayFollow(rest: readonly CharacterClass[], kind: CharacterClass): boolean {
  const [first] = rest;
  if (first === undefined) return true;
  return kind === 'space' && (first === 'letter' || first === 'mark') && rest.every((one) => one === first);
}

/** Whether some token could hold a part of one of these characters and a part of its neighbour: a border inside one. */
export function mayBreakCharacters({ straddledBytes }: BoundaryFacts, window: string): boolean {
  let last = -1;
  for (const character of window) {
    const code = character.codePointAt(0) ?? 0;
    const pair = (last << 8) | firstByte(code);
    if (last >= 0 && ((straddledBytes[pair >> 3] ?? 0) & (1 << (pair & 7))) !== 0) return true;
    last = code < 0x80 ? code : 0x80 | (code & 0x3f);
  }
  return false;
}

function firstByte(code: number): number {
  if (code < 0x80) return code;
  if (code < 0x800) return 0xc0 | (code >> 6);
  return code < 0x10000 ? 0xe0 | (code >> 12) : 0xf0 | (code >> 18);
}
