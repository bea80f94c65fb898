import { readFile } from 'node:fs/promises';
import { fileError } from '../model/byte-file';

/** A piece of a SentencePiece model. */
export interface Piece {
  readonly text: string;
  readonly score: number;
  /** 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. */
  readonly type: number;
}

/** The pieces of a tokenizer.model: field 1 of the protocol buffer, each of text (1), score (2) and type (3). */
export async function readPieces(path: string): Promise<readonly Piece[]> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw fileError(path, 'Expected a readable SentencePiece model', cause);
  });
  const pieces: Piece[] = [];
  for (const field of fields(path, bytes))
    if (field.number === 1 && field.bytes !== null) pieces.push(readPiece(path, field.bytes));
  if (pieces.length === 0) throw fileError(path, 'Expected pieces in the SentencePiece model but found none');
  return pieces;
}

function readPiece(path: string, bytes: Buffer): Piece {
  let piece: Piece = { text: '', score: 0, type: 1 };
  for (const { number, value, bytes: content } of fields(path, bytes)) {
    if (number === 1 && content !== null) piece = { ...piece, text: content.toString('utf8') };
    if (number === 2 && content?.length === 4) piece = { ...piece, score: content.readFloatLE(0) };
    if (number === 3) piece = { ...piece, type: value };
  }
  return piece;
}

interface Field {
  readonly number: number;
  /** Of a varint. */
  readonly value: number;
  /** Of every other wire type. */
  readonly bytes: Buffer | null;
}

function* fields(path: string, bytes: Buffer): Generator<Field> {
  for (let at = 0; at < bytes.length;) {
    const [tag, afterTag] = varint(path, bytes, at);
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (wire === 0) {
      const [value, next] = varint(path, bytes, afterTag);
      yield { number, value, bytes: null };
      at = next;
      continue;
    }
    const [length, start] =
      wire === 2 ? varint(path, bytes, afterTag) : [wire === 5 ? 4 : wire === 1 ? 8 : -1, afterTag];
    if (length < 0 || start + length > bytes.length)
      throw fileError(path, 'Expected a whole SentencePiece model but it is cut or of another format');
    yield { number, value: 0, bytes: bytes.subarray(start, start + length) };
    at = start + length;
  }
}

function varint(path: string, bytes: Buffer, start: number): readonly [value: number, next: number] {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return [value, start + i + 1];
  }
  throw fileError(path, 'Expected a whole SentencePiece model but it is cut or of another format');
}
