/** The expression that Llama-3 splits texts with, before byte-level BPE. */

/** As tokenizer.json has it, and as llama.cpp's split for Llama-3 follows it. */
export const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" +
  '|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

/** The same for JavaScript, of texts whose characters' classes are sure (classes.ts). */
const EXPRESSION =
  /'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+/gu;

export interface Match {
  readonly begin: number;
  readonly end: number;
}

/** From its start on, which must be the start of a match; the last one may go on beyond the text. */
export function* matchesOf(text: string): Generator<Match> {
  for (const { index, 0: match } of text.matchAll(EXPRESSION)) yield { begin: index, end: index + match.length };
}
