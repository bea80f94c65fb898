/** The one reader of GGUF: metadata as it stands in the file, and where each tensor lies. */

import { type ByteFile, fileError, openByteFile } from './byte-file';
import {
  alignTo,
  DEFAULT_ALIGNMENT,
  GGUF_MAGIC,
  ggmlTypeOf,
  type GgmlType,
  rowBytes,
  VALUE_SIZES,
  VALUE_TYPES,
  type ValueType,
} from './gguf-types';

export interface GgufTensor {
  readonly name: string;
  readonly type: GgmlType;
  /** ggml's order: ne[0] is the length of a row. */
  readonly ne: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly byteLength: number;
}

export interface GgufFile {
  readonly path: string;
  readonly size: number;
  /** Type id and payload of each metadata value, in file order. */
  readonly values: ReadonlyMap<string, Buffer>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  read(offset: number, length: number): Promise<Buffer>;
  close(): Promise<void>;
}

const FIRST_READ = 16 * 1024 * 1024;
const MAX_HEADER_BYTES = 1024 * 1024 * 1024;
const MAX_DIMENSIONS = 4;
const MAX_ARRAY_DEPTH = 3;

export async function openGguf(path: string): Promise<GgufFile> {
  const file = await openByteFile(path);
  try {
    return await readHeader(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeader(file: ByteFile): Promise<GgufFile> {
  for (let length = Math.min(FIRST_READ, file.size); ; length = Math.min(length * 4, file.size)) {
    const cursor: Cursor = { path: file.path, bytes: await file.read(0, length), at: 0 };
    try {
      return parseHeader(file, cursor);
    } catch (error) {
      if (!(error instanceof Overrun)) throw error;
      if (length === file.size || length >= MAX_HEADER_BYTES)
        throw fileError(file.path, `Expected a whole GGUF header: ${error.message}`);
    }
  }
}

class Overrun extends Error {}

interface Cursor {
  readonly path: string;
  readonly bytes: Buffer;
  at: number;
}

function advance(cursor: Cursor, length: number): number {
  const start = cursor.at;
  if (!(length >= 0 && start + length <= cursor.bytes.length))
    throw new Overrun(`it ends at byte ${start}, ${length} bytes early`);
  cursor.at = start + length;
  return start;
}

function u32(cursor: Cursor): number {
  return cursor.bytes.readUInt32LE(advance(cursor, 4));
}

function u64(cursor: Cursor): number {
  const value = cursor.bytes.readBigUInt64LE(advance(cursor, 8));
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw fileError(cursor.path, `Expected a length of at most 2^53 but received ${value}`);
  return Number(value);
}

function string(cursor: Cursor): string {
  const length = u64(cursor);
  const start = advance(cursor, length);
  return cursor.bytes.toString('utf8', start, start + length);
}

function valueType(cursor: Cursor): ValueType {
  const id = u32(cursor);
  const type = VALUE_TYPES[id];
  if (type === undefined) throw fileError(cursor.path, `Expected a GGUF value type but received ${id}`);
  return type;
}

function skipValue(cursor: Cursor, type: ValueType, depth: number): void {
  if (type === 'string') return void advance(cursor, u64(cursor));
  if (type !== 'array') return void advance(cursor, VALUE_SIZES[type] ?? 0);
  if (depth >= MAX_ARRAY_DEPTH) throw fileError(cursor.path, 'Expected arrays nested at most three deep');
  const inner = valueType(cursor);
  const count = u64(cursor);
  const width = VALUE_SIZES[inner];
  if (width !== undefined) return void advance(cursor, count * width);
  for (let i = 0; i < count; i++) skipValue(cursor, inner, depth + 1);
}

function parseHeader(file: ByteFile, cursor: Cursor): GgufFile {
  const magic = cursor.bytes.toString('latin1', 0, 4);
  if (magic !== GGUF_MAGIC)
    throw fileError(file.path, `Expected a GGUF file but received magic ${JSON.stringify(magic)}`);
  advance(cursor, 4);
  const version = u32(cursor);
  if (version !== 2 && version !== 3)
    throw fileError(file.path, `Expected GGUF version 2 or 3 but received ${version}`);
  const tensorCount = u64(cursor);
  const valueCount = u64(cursor);
  const values = new Map<string, Buffer>();
  for (let i = 0; i < valueCount; i++) {
    const key = string(cursor);
    const start = cursor.at;
    skipValue(cursor, valueType(cursor), 0);
    if (values.has(key)) throw fileError(file.path, `Expected key ${key} once but received it twice`);
    values.set(key, cursor.bytes.subarray(start, cursor.at));
  }
  const infos = Array.from({ length: checkedCount(cursor, tensorCount) }, () => readInfo(cursor));
  const alignment = readNumber(values.get('general.alignment')) ?? DEFAULT_ALIGNMENT;
  if (!Number.isInteger(alignment) || alignment < 1 || alignment > 1 << 20)
    throw fileError(file.path, `Expected an alignment but received ${alignment}`);
  const tensors = placeTensors(file, infos, alignTo(cursor.at, alignment));
  return {
    path: file.path,
    size: file.size,
    values,
    tensors,
    read: (offset, length) => file.read(offset, length),
    close: () => file.close(),
  };
}

/** An array of a lying length is never allocated: each tensor takes at least 24 bytes of header. */
function checkedCount(cursor: Cursor, count: number): number {
  if (count * 24 > cursor.bytes.length - cursor.at) throw new Overrun(`it ends before its ${count} tensors`);
  return count;
}

function readInfo(cursor: Cursor): GgufTensor {
  const name = string(cursor);
  const dimensions = u32(cursor);
  if (dimensions > MAX_DIMENSIONS)
    throw fileError(cursor.path, `Expected at most 4 dimensions of ${name} but received ${dimensions}`);
  const ne = Array.from({ length: dimensions }, () => u64(cursor));
  const id = u32(cursor);
  const offset = u64(cursor);
  const type = ggmlTypeOf(id);
  if (type === undefined) throw fileError(cursor.path, `Expected a known type of tensor ${name} but received ${id}`);
  const columns = ne[0] ?? 1;
  const byteLength = rowBytes(type, columns) * ne.slice(1).reduce((rows, size) => rows * size, 1);
  if (!Number.isSafeInteger(byteLength))
    throw fileError(cursor.path, `Expected a shape of ${name} that fits ${type} but received ${ne.join(' x ')}`);
  return { name, type, ne, offset, byteLength };
}

function placeTensors(
  file: ByteFile,
  infos: readonly GgufTensor[],
  dataStart: number,
): ReadonlyMap<string, GgufTensor> {
  const tensors = new Map<string, GgufTensor>();
  for (const info of infos) {
    const offset = dataStart + info.offset;
    if (offset + info.byteLength > file.size) {
      throw fileError(
        file.path,
        `Expected tensor ${info.name} up to byte ${offset + info.byteLength} but the file has ${file.size}: it is truncated`,
      );
    }
    if (tensors.has(info.name)) throw fileError(file.path, `Expected tensor ${info.name} once but received it twice`);
    tensors.set(info.name, { ...info, offset });
  }
  return tensors;
}

/** A number or a bool-free scalar; undefined for absent values and other types. */
export function readNumber(value: Buffer | undefined): number | undefined {
  if (value === undefined) return undefined;
  switch (VALUE_TYPES[value.readUInt32LE(0)]) {
    case 'uint8':
      return value.readUInt8(4);
    case 'int8':
      return value.readInt8(4);
    case 'uint16':
      return value.readUInt16LE(4);
    case 'int16':
      return value.readInt16LE(4);
    case 'uint32':
      return value.readUInt32LE(4);
    case 'int32':
      return value.readInt32LE(4);
    case 'float32':
      return value.readFloatLE(4);
    case 'float64':
      return value.readDoubleLE(4);
    case 'uint64':
      return Number(value.readBigUInt64LE(4));
    case 'int64':
      return Number(value.readBigInt64LE(4));
    default:
      return undefined;
  }
}

export function readText(value: Buffer | undefined): string | undefined {
  if (value === undefined || VALUE_TYPES[value.readUInt32LE(0)] !== 'string') return undefined;
  return value.toString('utf8', 12);
}

/** The strings of an array; undefined for absent values and other types. */
export function readTexts(value: Buffer | undefined): readonly string[] | undefined {
  if (value === undefined || VALUE_TYPES[value.readUInt32LE(0)] !== 'array') return undefined;
  if (VALUE_TYPES[value.readUInt32LE(4)] !== 'string') return undefined;
  const count = Number(value.readBigUInt64LE(8));
  const texts: string[] = [];
  for (let i = 0, at = 16; i < count; i++) {
    const length = Number(value.readBigUInt64LE(at));
    texts.push(value.toString('utf8', at + 8, at + 8 + length));
    at += 8 + length;
  }
  return texts;
}
