import { isUtf8 } from 'node:buffer';
import type { ErrorPlace, PairscoreError } from '../errors';
import { inputFault } from './fault';

/** A run of whole characters, and what is wrong behind it. */
interface Checked {
  readonly valid: Buffer;
  /** The start of a character whose end is still to come. */
  readonly rest: Buffer;
  /** null where all is well. */
  readonly fault: string | null;
}

const NOTHING = Buffer.alloc(0);
/** A CSV reader holds the last bytes back until more come; commas push them through wherever it stands. */
const LOOK_AHEAD = Buffer.from(',,,,,,,,');
const LONGEST_CHARACTER = 4;

/**
 * Yields the chunks cut between characters. Throws ERR_INPUT_ENCODING at the first byte that is no UTF-8, after
 * yielding everything before it, so that `place` can name the row that the reader has reached.
 */
export async function* checkedUtf8(chunks: AsyncIterable<Buffer>, place: () => ErrorPlace): AsyncGenerator<Buffer> {
  let rest: Buffer = NOTHING;
  let offset = 0;
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    if (offset === 0) refuseByteOrderMark(bytes, place());
    const checked = check(bytes);
    yield checked.valid;
    offset += checked.valid.length;
    if (checked.fault !== null) {
      yield LOOK_AHEAD;
      throw encodingError(`${checked.fault} at byte ${offset}`, place());
    }
    rest = checked.rest;
  }
  if (rest.length > 0) {
    yield LOOK_AHEAD;
    throw encodingError(`half a character (${hex(rest)}) at the end`, place());
  }
}

function refuseByteOrderMark(bytes: Buffer, place: ErrorPlace): void {
  const mark = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
  if (mark === 0xfffe || mark === 0xfeff) throw encodingError('UTF-16 (its byte order mark)', place);
}

function check(bytes: Buffer): Checked {
  const nul = bytes.indexOf(0);
  const upToNul = nul === -1 ? bytes : bytes.subarray(0, nul);
  if (!isUtf8(upToNul)) {
    const end = validLength(upToNul);
    const rest = upToNul.subarray(end);
    const valid = upToNul.subarray(0, end);
    if (nul === -1 && isStartOfCharacter(rest)) return { valid, rest, fault: null };
    return { valid, rest, fault: `the byte ${hex(rest.subarray(0, 1))}` };
  }
  return { valid: upToNul, rest: NOTHING, fault: nul === -1 ? null : 'a NUL byte (is the file UTF-16?)' };
}

/** Bytes before the first character that is broken or not complete. */
function validLength(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length) {
    const length = characterLength(bytes.readUInt8(at));
    if (at + length > bytes.length || !isUtf8(bytes.subarray(at, at + length))) return at;
    at += length;
  }
  return at;
}

function characterLength(lead: number): number {
  if (lead < 0xc0) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : LONGEST_CHARACTER;
}

/** True where some bytes behind these would make them a character. */
function isStartOfCharacter(bytes: Buffer): boolean {
  const missing = characterLength(bytes.readUInt8(0)) - bytes.length;
  if (missing <= 0) return false;
  // The second byte's range depends on the first; both ends of the range of the others are tried.
  return [0x80, 0xbf].some((fill) => isUtf8(Buffer.concat([bytes, Buffer.alloc(missing, fill)])));
}

function hex(bytes: Buffer): string {
  return [...bytes].map((byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(' ');
}

function encodingError(received: string, place: ErrorPlace): PairscoreError {
  return inputFault('ERR_INPUT_ENCODING', `Expected UTF-8 text but received ${received}`, place);
}
