const OPEN = '[]';
const QUOTE = '"';

/**
 * The parser of the published Llama training code, kept to the letter: strip brackets, split on `","`, strip quotes.
 * It decodes no escape and knows no null. It takes every text.
 */
export function parseStrip(cell: string): readonly string[] {
  return strip(cell, OPEN)
    .split('","')
    .map((turn) => strip(turn, QUOTE));
}

/** Python's str.strip(characters). */
function strip(text: string, characters: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && characters.includes(text.charAt(start))) start += 1;
  while (end > start && characters.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
