/** Where tokens of a byte-level vocabulary cross from one character to the next and hold one of the two only in part. */

/** The bytes that byte-level BPE writes as themselves; the others follow from U+0100 on. */
const PRINTABLE = [
  [0x21, 0x7e],
  [0xa1, 0xac],
  [0xae, 0xff],
] as const;

const BYTE_OF: ReadonlyMap<string, number> = byteTable();

function byteTable(): ReadonlyMap<string, number> {
  const isPrintable = (byte: number): boolean => PRINTABLE.some(([from, to]) => byte >= from && byte <= to);
  const table = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 0x100; byte++) {
    table.set(String.fromCharCode(isPrintable(byte) ? byte : next++), byte);
  }
  return table;
}

/** A bit for each pair of bytes, the first the high one. */
export function straddledBytes(vocabulary: readonly string[]): Uint8Array {
  const bits = new Uint8Array(0x10000 >> 3);
  for (const piece of vocabulary) {
    const bytes = Array.from(piece, (character) => BYTE_OF.get(character) ?? 0);
    for (let at = 1; at < bytes.length; at++) {
      if (!startsCharacter(bytes[at] ?? 0) || (isWholeBefore(bytes, at) && isWholeFrom(bytes, at))) continue;
      const pair = ((bytes[at - 1] ?? 0) << 8) | (bytes[at] ?? 0);
      bits[pair >> 3] = (bits[pair >> 3] ?? 0) | (1 << (pair & 7));
    }
  }
  return bits;
}

function startsCharacter(byte: number): boolean {
  return (byte & 0xc0) !== 0x80;
}

function isWholeBefore(bytes: readonly number[], end: number): boolean {
  return bytes.slice(0, end).some(startsCharacter);
}

function isWholeFrom(bytes: readonly number[], at: number): boolean {
  const first = bytes[at] ?? 0;
  const size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return at + size <= bytes.length;
}
