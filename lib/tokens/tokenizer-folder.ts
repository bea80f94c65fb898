/** Reads the two files of a tokenizer folder. Synchronous and slow for real models: called in a worker, and by importers. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PairscoreError } from '../errors';
import { isTree, type Tree } from './tree';

export interface TokenizerFiles {
  readonly tokenizerJson: Tree;
  readonly tokenizerConfig: Tree;
}

export function readTokenizerFolder(folder: string): TokenizerFiles {
  return {
    tokenizerJson: readTree(join(folder, 'tokenizer.json')),
    tokenizerConfig: readTree(join(folder, 'tokenizer_config.json')),
  };
}

function readTree(file: string): Tree {
  const value = parse(read(file), file);
  if (isTree(value)) return value;
  throw new PairscoreError('ERR_MODEL_FILE', `Expected a JSON object in ${file} but received another value`, { file });
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new PairscoreError('ERR_MODEL_FILE', `Expected to read ${file} but could not: ${String(cause)}`, {
      file,
      cause,
    });
  }
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PairscoreError('ERR_MODEL_FILE', `Expected JSON in ${file} but received other text: ${String(cause)}`, {
      file,
      cause,
    });
  }
}
