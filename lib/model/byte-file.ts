import { open, type FileHandle } from 'node:fs/promises';
import { PairscoreError } from '../errors';

/** A file of untrusted content, read by checked ranges. */
export interface ByteFile {
  readonly path: string;
  readonly size: number;
  /** Exactly `length` bytes from `offset`, or an error. */
  read(offset: number, length: number): Promise<Buffer>;
  close(): Promise<void>;
}

export function fileError(path: string, message: string, cause?: unknown): PairscoreError {
  return new PairscoreError('ERR_MODEL_FILE', `${path}: ${message}`, { file: path, cause });
}

export async function openByteFile(path: string): Promise<ByteFile> {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    throw fileError(
      path,
      `Expected a readable file (${cause instanceof Error ? cause.message : String(cause)})`,
      cause,
    );
  });
  const size = await sizeOf(handle, path).catch(async (error: unknown) => {
    await handle.close();
    throw error;
  });
  const read = async (offset: number, length: number): Promise<Buffer> => {
    if (!(offset >= 0 && length >= 0 && offset + length <= size)) {
      throw fileError(path, `Expected bytes ${offset} to ${offset + length} but the file has ${size}: it is truncated`);
    }
    const bytes = Buffer.allocUnsafe(length);
    for (let done = 0; done < length;) {
      const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, 1 << 30), offset + done);
      if (bytesRead === 0) throw fileError(path, 'Expected more bytes but the file ended: it shrank while being read');
      done += bytesRead;
    }
    return bytes;
  };
  return { path, size, read, close: () => handle.close() };
}

async function sizeOf(handle: FileHandle, path: string): Promise<number> {
  const stat = await handle.stat();
  if (!stat.isFile()) throw fileError(path, 'Expected a file but received something else');
  return stat.size;
}
