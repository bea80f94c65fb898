import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PairscoreError } from '../errors';
import { flag, type GgufEntry, text } from './gguf-values';
import { isCount, isObject, type JsonObject, readObjectIfPresent } from './json';
import { readPieces } from './sentencepiece';
import { specialEntries } from './special-tokens';
import { readAdded } from './tokenizer-facts';

/** The vocabulary of a base GGUF, as llama.cpp's own converter writes it. */
export interface Vocabulary {
  readonly tokens: readonly string[];
  readonly entries: readonly GgufEntry[];
}

const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;
const BYTE = 6;

interface Source {
  readonly folder: string;
  readonly json: JsonObject | null;
  readonly config: JsonObject;
  readonly model: JsonObject;
  readonly architecture: 'gemma2' | 'llama';
  /** Tokens of the base: longer than the tokenizer's where the embedding was padded. */
  readonly size: number;
}

export async function readVocabulary(
  folder: string,
  shape: Pick<Source, 'architecture'> & { readonly vocabulary: number },
  model: JsonObject,
): Promise<Vocabulary> {
  const json = await readObjectIfPresent(join(folder, 'tokenizer.json'));
  const config = (await readObjectIfPresent(join(folder, 'tokenizer_config.json'))) ?? {};
  const source: Source = { folder, json, config, model, architecture: shape.architecture, size: shape.vocabulary };
  if (existsSync(join(folder, 'tokenizer.model'))) return sentencePiece(source, await piecesOfModel(source));
  if (json === null) throw mismatch(folder, 'Expected tokenizer.json or tokenizer.model but found neither');
  const bpe = json['model'];
  if (!isObject(bpe) || bpe['type'] !== 'BPE') throw mismatch(folder, 'Expected a tokenizer.json of type BPE');
  return bpe['byte_fallback'] === true ? sentencePiece(source, piecesOfJson(source, bpe)) : bytePairs(source, bpe);
}

function mismatch(folder: string, message: string): PairscoreError {
  return new PairscoreError('ERR_TOKENIZER_MISMATCH', `${folder}: ${message}`, { file: folder });
}

/** Columns of the vocabulary while they are filled. */
interface Columns {
  readonly tokens: string[];
  readonly scores: number[];
  readonly types: number[];
}

function padded(size: number, score: number): Columns {
  return {
    tokens: Array.from({ length: size }, (_, id) => `[PAD${id}]`),
    scores: Array.from({ length: size }, () => score),
    types: Array.from({ length: size }, () => UNUSED),
  };
}

async function piecesOfModel(source: Source): Promise<Columns> {
  const columns = padded(source.size, -10000);
  const pieces = await readPieces(join(source.folder, 'tokenizer.model'));
  for (const [id, piece] of pieces.slice(0, source.size).entries()) {
    columns.tokens[id] = piece.text;
    columns.scores[id] = piece.score;
    columns.types[id] = piece.type === USER_DEFINED ? NORMAL : piece.type;
  }
  return columns;
}

/** Without tokenizer.model: SentencePiece merges by score, so a piece scores minus the rank of the merge that makes it. */
function piecesOfJson(source: Source, bpe: JsonObject): Columns {
  const columns = padded(source.size, -10000);
  const ranks = new Map<string, number>();
  for (const [rank, merge] of mergesOf(source, bpe).entries()) {
    const made = merge.join('');
    if (!ranks.has(made)) ranks.set(made, rank);
  }
  for (const [token, id] of vocabOf(source, bpe)) {
    columns.tokens[id] = token;
    columns.scores[id] = -(ranks.get(token) ?? ranks.size);
    columns.types[id] = /^<0x[0-9A-F]{2}>$/.test(token) ? BYTE : token === bpe['unk_token'] ? 2 : NORMAL;
  }
  return columns;
}

function vocabOf(source: Source, bpe: JsonObject): readonly (readonly [string, number])[] {
  const vocab = bpe['vocab'];
  if (!isObject(vocab)) throw mismatch(source.folder, 'Expected a vocabulary in tokenizer.json');
  return Object.entries(vocab).map(([token, id]) => {
    if (!isCount(id) || id >= source.size)
      throw mismatch(
        source.folder,
        `Expected ids below the base's ${source.size} tokens but ${JSON.stringify(token)} has ${String(id)}`,
      );
    return [token, id];
  });
}

function mergesOf(source: Source, bpe: JsonObject): readonly (readonly [string, string])[] {
  const merges: unknown = bpe['merges'];
  if (!Array.isArray(merges)) throw mismatch(source.folder, 'Expected merges in tokenizer.json');
  return merges.map((merge: unknown) => {
    const parts: readonly unknown[] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
    const [left, right] = parts;
    if (parts.length !== 2 || typeof left !== 'string' || typeof right !== 'string')
      throw mismatch(source.folder, 'Expected merges of two tokens in tokenizer.json');
    return [left, right];
  });
}

interface Added {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

/** tokenizer_config.json where it lists them, as llama.cpp's converter does, or else tokenizer.json. */
function addedTokens(source: Source): readonly Added[] {
  const decoder = source.config['added_tokens_decoder'];
  const path = join(source.folder, 'tokenizer_config.json');
  if (!isObject(decoder))
    return source.json === null ? [] : readAdded(join(source.folder, 'tokenizer.json'), source.json);
  return Object.entries(decoder).map(([key, value]) => {
    const id = Number(key);
    if (!isCount(id) || !isObject(value) || typeof value['content'] !== 'string')
      throw mismatch(path, 'Expected added tokens of an id and a content');
    return { id, content: value['content'], special: value['special'] === true };
  });
}

/** Tokens that some models mark as plain though they are control tokens: llama.cpp's list. */
function looksSpecial(token: string): boolean {
  if (['<pad>', '<mask>', '<2mass>', '[@BOS@]'].includes(token)) return true;
  return (
    (token.startsWith('<|') && token.endsWith('|>')) ||
    (token.startsWith('<\uff5c') && token.endsWith('\uff5c>')) ||
    (token.startsWith('<unused') && token.endsWith('>'))
  );
}

function placeAdded(columns: Columns, source: Source, score: number | null): void {
  for (const { id, content, special } of addedTokens(source)) {
    if (id >= source.size) continue;
    const isControl = special || looksSpecial(content);
    columns.tokens[id] = isControl ? content : content.replaceAll('\u2581', ' ');
    columns.types[id] = isControl ? CONTROL : USER_DEFINED;
    if (score !== null) columns.scores[id] = score;
  }
}

function sentencePiece(source: Source, columns: Columns): Vocabulary {
  placeAdded(columns, source, -1000);
  const prefix = source.architecture === 'gemma2' ? false : source.config['add_prefix_space'];
  return {
    tokens: columns.tokens,
    entries: [
      ['tokenizer.ggml.model', text('llama')],
      ['tokenizer.ggml.pre', text('default')],
      ['tokenizer.ggml.tokens', { type: 'strings', value: columns.tokens }],
      ['tokenizer.ggml.scores', { type: 'float32s', value: columns.scores }],
      ['tokenizer.ggml.token_type', { type: 'int32s', value: columns.types }],
      ...specialEntries(source),
      ...(typeof prefix === 'boolean' ? [['tokenizer.ggml.add_space_prefix', flag(prefix)] satisfies GgufEntry] : []),
    ],
  };
}

/** The regular expression by which Llama 3 splits text; llama.cpp knows it as llama-bpe. */
const LLAMA_3_SPLIT =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

function bytePairs(source: Source, bpe: JsonObject): Vocabulary {
  if (!JSON.stringify(source.json?.['pre_tokenizer'] ?? null).includes(JSON.stringify(LLAMA_3_SPLIT))) {
    throw mismatch(
      source.folder,
      "Expected Llama 3's way of splitting text in tokenizer.json but received another: convert the base with llama.cpp and give the GGUF",
    );
  }
  const columns = padded(source.size, 0);
  for (const [token, id] of vocabOf(source, bpe)) {
    columns.tokens[id] = token;
    columns.types[id] = NORMAL;
  }
  placeAdded(columns, source, null);
  const merges = mergesOf(source, bpe).map((pair) => pair.map((part) => part.replaceAll(' ', '\u0120')).join(' '));
  return {
    tokens: columns.tokens,
    entries: [
      ['tokenizer.ggml.model', text('gpt2')],
      ['tokenizer.ggml.pre', text('llama-bpe')],
      ['tokenizer.ggml.tokens', { type: 'strings', value: columns.tokens }],
      ['tokenizer.ggml.token_type', { type: 'int32s', value: columns.types }],
      ['tokenizer.ggml.merges', { type: 'strings', value: merges }],
      ...specialEntries(source),
    ],
  };
}
