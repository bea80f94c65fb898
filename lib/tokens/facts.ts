/** What tokenizer.json and tokenizer_config.json say of a tokenizer, as far as cutting and checking need it. */

import type { SpecialTokensInText } from '../model/spec';
import { addedFacts } from './added';
import { SPACE_MARK, addPairs, emptyPairs, type BoundaryFacts, type Splitting } from './boundaries';
import { LLAMA3_PATTERN } from './expression';
import { surroundingTokens, type SurroundingTokens } from './post-processor';
import type { TokenizerFiles } from './tokenizer-folder';
import { asList, asTree, isTree, type Tree } from './tree';

export interface TokenizerFacts {
  readonly surrounding: SurroundingTokens;
  readonly boundaries: BoundaryFacts;
  /** Strings of special tokens. */
  readonly specialTexts: readonly string[];
}

const LETTERS = /^[\u2581\u0120]?[A-Za-z]*$/;

export function readFacts(files: TokenizerFiles, specialTokens: SpecialTokensInText): TokenizerFacts {
  const { tokenizerJson: tree, tokenizerConfig } = files;
  const added = addedTokens(tree);
  const matched = added.filter((token) => specialTokens === 'parse' || !isSpecial(token, tokenizerConfig));
  return {
    surrounding: surroundingTokens(tree, tokenizerConfig),
    boundaries: boundaryFacts(tree, matched),
    specialTexts: added.filter((token) => isSpecial(token, tokenizerConfig)).map(contentOf),
  };
}

/**
 * tokenizer.json without the tokens that plain text must not become. Other added tokens, such as Gemma's runs of line
 * ends, stay: transformers always matches them.
 */
export function withoutSpecialTokens(tokenizerJson: unknown, tokenizerConfig: unknown): Tree {
  const tree = asTree(tokenizerJson);
  const kept = addedTokens(tree).filter((token) => !isSpecial(token, tokenizerConfig));
  return { ...tree, added_tokens: kept };
}

function addedTokens(tree: Tree): readonly Tree[] {
  return asList(tree['added_tokens']).filter(isTree);
}

function contentOf(token: Tree): string {
  return String(token['content']);
}

/** By its flag in either file, or by its look: llama.cpp's converter marks the same ones as control tokens. */
function isSpecial(token: Tree, tokenizerConfig: unknown): boolean {
  const declared = asTree(asTree(asTree(tokenizerConfig)['added_tokens_decoder'])[String(token['id'])]);
  const text = contentOf(token);
  return (
    token['special'] === true ||
    declared['special'] === true ||
    ['<pad>', '<mask>', '<2mass>', '[@BOS@]'].includes(text) ||
    /^(?:<\|.*\|>|<｜.*｜>|<unused.*>)$/su.test(text)
  );
}

function boundaryFacts(tree: Tree, added: readonly Tree[]): BoundaryFacts {
  const splitting = splittingOf(tree, added);
  const vocabulary = Object.keys(asTree(asTree(tree['model'])['vocab']));
  const texts = added.map(contentOf);
  const joinedPairs = emptyPairs();
  for (const text of splitting === 'whole' ? [...vocabulary, ...texts] : texts) addPairs(joinedPairs, text);
  const longest = (entries: readonly string[]): number =>
    entries.reduce((most, entry) => Math.max(most, entry.length), 1);
  const entries = [...vocabulary, ...texts];
  return {
    splitting,
    // A byte-level entry has a character a byte, and no text has more UTF-16 units than bytes.
    longestToken: longest(entries),
    longestLetters: longest(entries.filter((entry) => LETTERS.test(entry))),
    joinedPairs,
    added: addedFacts(texts),
  };
}

function splittingOf(tree: Tree, added: readonly Tree[]): Splitting {
  const stripping = added.some((token) => token['lstrip'] === true || token['rstrip'] === true);
  if (stripping || added.some((token) => token['single_word'] === true)) return 'unknown';
  const model = asTree(tree['model']);
  const isPlainBpe =
    model['type'] === 'BPE' &&
    (model['dropout'] ?? null) === null &&
    (model['continuing_subword_prefix'] ?? '') === '' &&
    (model['end_of_word_suffix'] ?? '') === '';
  if (!isPlainBpe) return 'unknown';
  if (isGemmaLike(tree, model)) return 'whole';
  return isLlama3Like(tree) ? 'llama3' : 'unknown';
}

function isGemmaLike(tree: Tree, model: Tree): boolean {
  const vocabulary = asTree(model['vocab']);
  // No character is unknown: it has a piece, or pieces for its bytes.
  const hasByte = (byte: number): boolean =>
    `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>` in vocabulary ||
    (byte < 0x80 && String.fromCharCode(byte) in vocabulary);
  const split = asTree(tree['pre_tokenizer']);
  return (
    model['byte_fallback'] === true &&
    model['ignore_merges'] !== true &&
    Array.from({ length: 256 }, (_, byte) => byte).every(hasByte) &&
    isSpaceReplacement(asTree(tree['normalizer'])) &&
    // The normalizer leaves no space for it to split at.
    (tree['pre_tokenizer'] === null || (split['type'] === 'Split' && asTree(split['pattern'])['String'] === ' '))
  );
}

function isSpaceReplacement(normalizer: Tree): boolean {
  const parts = normalizer['type'] === 'Sequence' ? asList(normalizer['normalizers']).map(asTree) : [normalizer];
  const [only] = parts;
  return (
    parts.length === 1 &&
    only?.['type'] === 'Replace' &&
    asTree(only['pattern'])['String'] === ' ' &&
    only['content'] === SPACE_MARK
  );
}

function isLlama3Like(tree: Tree): boolean {
  const parts = asTree(tree['pre_tokenizer']);
  const [split, bytes, ...others] = asList(parts['pretokenizers']).map(asTree);
  return (
    (tree['normalizer'] ?? null) === null &&
    parts['type'] === 'Sequence' &&
    others.length === 0 &&
    split?.['type'] === 'Split' &&
    split['behavior'] === 'Isolated' &&
    split['invert'] !== true &&
    asTree(split['pattern'])['Regex'] === LLAMA3_PATTERN &&
    bytes?.['type'] === 'ByteLevel' &&
    bytes['add_prefix_space'] === false &&
    bytes['use_regex'] === false
  );
}
