/** Reads a settings file and checks it against its schema. */

import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { PairscoreError, type ErrorCode } from '../errors';
import { sentenceOf } from './issues';

export interface FileKind<T> {
  /** What error messages call the file. */
  readonly noun: string;
  readonly schema: z.ZodType<T>;
  readonly missing: ErrorCode;
  readonly wrong: ErrorCode;
}

export async function readJsonFile<T>(path: string, kind: FileKind<T>): Promise<T> {
  const value = parseJson(path, await readText(path, kind), kind);
  const checked = kind.schema.safeParse(value, { reportInput: true });
  if (checked.success) return checked.data;
  throw new PairscoreError(kind.wrong, `${path}: ${sentenceOf(checked.error)}`, { file: path, cause: checked.error });
}

async function readText<T>(path: string, kind: FileKind<T>): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const text = `Expected a readable ${kind.noun} but received: ${reason}`;
    throw new PairscoreError(kind.missing, text, { file: path, cause: error });
  }
}

function parseJson<T>(path: string, text: string, kind: FileKind<T>): unknown {
  try {
    // A byte order mark is no JSON, but some editors write one.
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${path}: Expected JSON for the ${kind.noun} but received: ${reason}`;
    throw new PairscoreError(kind.wrong, message, { file: path, cause: error });
  }
}
