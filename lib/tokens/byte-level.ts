/** Text as byte-level vocabularies write it: a character for each byte of its UTF-8. */

/** The bytes that are written as themselves; the others follow from U+0100 on. */
const PRINTABLE = [
  [0x21, 0x7e],
  [0xa1, 0xac],
  [0xae, 0xff],
] as const;

const CHARACTERS: readonly string[] = characters();
const encoder = new TextEncoder();

function characters(): readonly string[] {
  const isPrintable = (byte: number): boolean => PRINTABLE.some(([from, to]) => byte >= from && byte <= to);
  let next = 0x100;
  return Array.from({ length: 0x100 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
}

export function toByteLevel(text: string): string {
  return Array.from(encoder.encode(text), (byte) => CHARACTERS[byte]).join('');
}
