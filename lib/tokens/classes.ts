/** What Llama-3's expression takes a character for, where every engine agrees: JavaScript's and llama.cpp's. */

export type CharacterClass = 'letter' | 'digit' | 'mark' | 'space' | 'newline' | 'unsure';

/** Letters and digits that came with Unicode 16 and 17: llama.cpp v0.5.0 does not know them yet. */
const NEW =
  /^[\u088f\u0c5c\u0cdc\u1c89\u1c8a\ua7cb-\ua7cf\ua7d2\ua7d4\ua7da-\ua7f1\u{105c0}-\u{105f3}\u{10940}-\u{10959}\u{10d40}-\u{10d85}\u{10ec2}-\u{10ec7}\u{11380}-\u{113d3}\u{116d0}-\u{116e3}\u{11bc0}-\u{11bf9}\u{11db0}-\u{11de9}\u{13460}-\u{143fa}\u{16100}-\u{16139}\u{16d40}-\u{16d79}\u{16ea0}-\u{16ed3}\u{16ff2}-\u{16ff6}\u{187f8}-\u{187ff}\u{18cff}\u{18d09}-\u{18df2}\u{1ccf0}-\u{1ccf9}\u{1e5d0}-\u{1e6ff}\u{2b73a}-\u{2b73f}\u{2cea2}-\u{2cead}\u{323b0}-\u{33479}]/u;
/** White space to one of them only. */
const DISPUTED_SPACE = /^[\u0085\ufeff]/;

const BY_NUMBER: readonly CharacterClass[] = ['letter', 'digit', 'mark', 'space', 'newline', 'unsure'];
/** A code point's class, numbered from 1; 0 where nobody has asked. */
const known = new Uint8Array(0x110000);

export function classOf(code: number): CharacterClass {
  const number = known[code] ?? 0;
  if (number > 0) return BY_NUMBER[number - 1] ?? 'unsure';
  const found = classify(String.fromCodePoint(code));
  known[code] = BY_NUMBER.indexOf(found) + 1;
  return found;
}

function classify(character: string): CharacterClass {
  if (NEW.test(character) || DISPUTED_SPACE.test(character)) return 'unsure';
  if (/^[\r\n]/.test(character)) return 'newline';
  if (/^\s/u.test(character)) return 'space';
  if (/^\p{L}/u.test(character)) return 'letter';
  return /^\p{N}/u.test(character) ? 'digit' : 'mark';
}
