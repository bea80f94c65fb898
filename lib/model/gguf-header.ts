/** The scalars in a GGUF's header: enough to size a model before it is loaded. Values of other types are stepped over. */

import { open, type FileHandle } from 'node:fs/promises';
import { PairscoreError } from '../errors';

export type GgufScalars = ReadonlyMap<string, string | number>;

/** A real vocabulary takes 5 to 15 MB; its arrays are in the way of what may follow. */
const FIRST_BYTES = 16 * 2 ** 20;
const MOST_BYTES = 256 * 2 ** 20;
const MAX_ARRAY_DEPTH = 3;
const STRING = 8;
const ARRAY = 9;

/** Bytes of each type by its id; strings and arrays carry their length. */
const WIDTHS = [1, 1, 2, 2, 4, 4, 4, 1, undefined, undefined, 8, 8, 8] as const;

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

/** Throws ERR_MODEL_FILE for a file that cannot be read or is no GGUF. */
export async function readGgufScalars(path: string): Promise<GgufScalars> {
  try {
    const file = await open(path, 'r');
    try {
      return await readValues(file, (await file.stat()).size);
    } finally {
      await file.close();
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const text = `Expected a GGUF file but received: ${reason}`;
    throw new PairscoreError('ERR_MODEL_FILE', text, { file: path, cause: error });
  }
}

async function readValues(file: FileHandle, size: number): Promise<GgufScalars> {
  for (let length = Math.min(FIRST_BYTES, size); ; length = Math.min(length * 4, size)) {
    const bytes = Buffer.alloc(length);
    await file.read(bytes, 0, length, 0);
    try {
      return parseValues({ bytes, at: 0 });
    } catch (error) {
      if (!(error instanceof RangeError) || length === size || length >= MOST_BYTES) throw error;
    }
  }
}

/** Throws a RangeError where the bytes end too early. */
export function parseValues(cursor: Cursor): GgufScalars {
  const magic = cursor.bytes.toString('latin1', 0, 4);
  if (magic !== 'GGUF') throw new Error(`magic ${JSON.stringify(magic)}`);
  const version = cursor.bytes.readUInt32LE(4);
  if (version !== 2 && version !== 3) throw new Error(`GGUF version ${version}`);
  const count = Number(cursor.bytes.readBigUInt64LE(16));
  cursor.at = 24;
  const values = new Map<string, string | number>();
  for (let i = 0; i < count; i += 1) {
    const key = text(cursor);
    const value = readScalar(cursor, uint32(cursor), 0);
    if (value !== undefined) values.set(key, value);
  }
  return values;
}

/** The value, or undefined for an array or a bool; the cursor stands behind it. */
function readScalar(cursor: Cursor, type: number, depth: number): string | number | undefined {
  if (type === STRING) return text(cursor);
  if (type === ARRAY) {
    skipArray(cursor, depth);
    return undefined;
  }
  const width = WIDTHS[type];
  if (width === undefined) throw new Error(`value type ${type}`);
  return numberAt(cursor.bytes, type, step(cursor, width));
}

function skipArray(cursor: Cursor, depth: number): void {
  if (depth === MAX_ARRAY_DEPTH) throw new Error('arrays nested more than three deep');
  const type = uint32(cursor);
  const count = uint64(cursor);
  const width = WIDTHS[type];
  if (width !== undefined) step(cursor, count * width);
  else for (let i = 0; i < count; i += 1) readScalar(cursor, type, depth + 1);
}

function numberAt(bytes: Buffer, type: number, at: number): number | undefined {
  if (type === 4) return bytes.readUInt32LE(at);
  if (type === 5) return bytes.readInt32LE(at);
  if (type === 6) return bytes.readFloatLE(at);
  if (type === 10) return Number(bytes.readBigUInt64LE(at));
  return undefined;
}

function text(cursor: Cursor): string {
  const length = uint64(cursor);
  const at = step(cursor, length);
  return cursor.bytes.toString('utf8', at, at + length);
}

function uint32(cursor: Cursor): number {
  return cursor.bytes.readUInt32LE(step(cursor, 4));
}

function uint64(cursor: Cursor): number {
  return Number(cursor.bytes.readBigUInt64LE(step(cursor, 8)));
}

function step(cursor: Cursor, length: number): number {
  const { at } = cursor;
  if (at + length > cursor.bytes.length) throw new RangeError(`a header that ends at byte ${cursor.bytes.length}`);
  cursor.at = at + length;
  return at;
}
