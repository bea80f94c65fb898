import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PairscoreError } from '../errors';
import { surroundingTokens } from '../tokens/post-processor';
import { fileError } from '../model/byte-file';
import { isCount, isObject, type JsonObject, readObject, readObjectIfPresent } from './json';

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly normalized: boolean;
}

/** What tokenizer.json says. */
export interface TokenizerFacts {
  readonly folder: string;
  /** Token of each id; holes are undefined. */
  readonly tokens: readonly (string | undefined)[];
  readonly added: readonly AddedToken[];
  /** What transformers puts around one text. */
  readonly bos: number | null;
  readonly eos: number | null;
}

const MAX_TOKENS = 4_000_000;

export async function readTokenizerFacts(folder: string): Promise<TokenizerFacts> {
  const path = join(folder, 'tokenizer.json');
  const json = await readObject(path);
  const config = (await readObjectIfPresent(join(folder, 'tokenizer_config.json'))) ?? {};
  const added = readAdded(path, json);
  const tokens = readTokens(path, json, added);
  return { folder, tokens, added, ...surroundingTokens(json, config) };
}

/** The folder that holds the tokenizer: the one given, or the first of the sources that has one. */
export function findTokenizer(given: string | null, candidates: readonly string[]): string {
  for (const folder of given === null ? candidates : [given]) {
    if (existsSync(join(folder, 'tokenizer.json'))) return folder;
  }
  const where = given ?? candidates.join(', ');
  throw new PairscoreError(
    'ERR_MODEL_FILE',
    `Expected tokenizer.json in ${where === '' ? 'a folder given with --tokenizer' : where} but found none`,
  );
}

export function readAdded(path: string, json: JsonObject): readonly AddedToken[] {
  const list: unknown = json['added_tokens'] ?? [];
  if (!Array.isArray(list)) throw fileError(path, 'Expected added_tokens to be a list');
  return list.map((item: unknown) => {
    if (!isObject(item) || !isCount(item['id']) || item['id'] >= MAX_TOKENS || typeof item['content'] !== 'string') {
      throw fileError(path, 'Expected added tokens of an id and a content');
    }
    return {
      id: item['id'],
      content: item['content'],
      special: item['special'] === true,
      normalized: item['normalized'] === true,
    };
  });
}

function readTokens(path: string, json: JsonObject, added: readonly AddedToken[]): readonly (string | undefined)[] {
  const model = json['model'];
  const vocab = isObject(model) ? model['vocab'] : undefined;
  if (!isObject(model) || model['type'] !== 'BPE' || !isObject(vocab))
    throw fileError(path, 'Expected a tokenizer of type BPE with a vocabulary');
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of Object.entries(vocab)) {
    if (!isCount(id) || id >= MAX_TOKENS)
      throw fileError(path, `Expected an id of token ${JSON.stringify(token)} below ${MAX_TOKENS}`);
    tokens[id] = token;
  }
  for (const { id, content } of added) tokens[id] = content;
  return tokens;
}

/** Compares the vocabulary with the base's; refuses another model's tokenizer. Returns notes on harmless differences. */
export function compareVocabulary(facts: TokenizerFacts, baseTokens: readonly string[]): readonly string[] {
  if (facts.tokens.length > baseTokens.length) {
    throw mismatch(
      facts,
      `Expected at most the base's ${baseTokens.length} tokens but received ${facts.tokens.length}`,
    );
  }
  const addedIds = new Set(facts.added.map(({ id }) => id));
  const spelled: number[] = [];
  for (const [id, token] of facts.tokens.entries()) {
    const base = baseTokens[id];
    if (token === undefined || token === base || isSameByte(token, base)) continue;
    // llama.cpp's converter stores spaces of user-defined tokens as spaces.
    if (addedIds.has(id) && base === token.replaceAll('\u2581', ' ')) continue;
    if (!addedIds.has(id) || id === facts.bos || id === facts.eos) {
      throw mismatch(
        facts,
        `Expected token ${id} to be ${JSON.stringify(base)}, as in the base, but received ${JSON.stringify(token)}`,
      );
    }
    spelled.push(id);
  }
  if (spelled.length === 0) return [];
  return [
    `${spelled.length} added tokens are spelled otherwise in the base, first ${spelled[0]}: ${JSON.stringify(baseTokens[spelled[0] ?? 0])}`,
  ];
}

/** transformers puts a tab in the place of its byte in Gemma's vocabulary: both stand for the same text. */
function isSameByte(token: string, base: string | undefined): boolean {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(base ?? '')?.[1];
  return byte !== undefined && token === String.fromCharCode(parseInt(byte, 16));
}

function mismatch(facts: TokenizerFacts, message: string): PairscoreError {
  return new PairscoreError(
    'ERR_TOKENIZER_MISMATCH',
    `${facts.folder}: ${message}: it is the tokenizer of another model`,
    { file: facts.folder },
  );
}
