import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { PairscoreError } from '../errors';
import {
  alignTo,
  DEFAULT_ALIGNMENT,
  GGUF_MAGIC,
  GGUF_VERSION,
  type GgmlType,
  ggmlTypeId,
  rowBytes,
} from '../model/gguf-types';
import { encodeString, encodeValue, type GgufEntry } from './gguf-values';
import { elementCount } from './tensor';

/** A tensor to be written; its bytes come in pieces, so that memory stays bounded. */
export interface OutputTensor {
  readonly name: string;
  readonly type: GgmlType;
  /** ggml's order: ne[0] is the length of a row. */
  readonly ne: readonly number[];
  chunks(): AsyncIterable<Uint8Array>;
}

export interface WrittenFile {
  readonly bytes: number;
  readonly sha256: string;
}

export type OnBytes = (tensor: string, bytes: number) => void;

export function tensorBytes(tensor: Pick<OutputTensor, 'type' | 'ne'>): number {
  const columns = tensor.ne[0] ?? 1;
  return rowBytes(tensor.type, columns) * (elementCount(tensor.ne) / columns);
}

/** A tensor whose bytes are at hand. */
export function wholeTensor(name: string, ne: readonly number[], values: Float32Array): OutputTensor {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return {
    name,
    type: 'f32',
    ne,
    chunks: async function* () {
      yield bytes;
    },
  };
}

/** Writes one GGUF file and returns its digest, taken on the way. */
export async function writeGguf(
  path: string,
  entries: readonly GgufEntry[],
  tensors: readonly OutputTensor[],
  onBytes: OnBytes = () => undefined,
): Promise<WrittenFile> {
  const handle = await open(path, 'wx').catch((cause: unknown) => {
    throw outputError(path, cause);
  });
  const sink: Sink = { path, handle, hash: createHash('sha256'), bytes: 0 };
  try {
    await write(sink, header(entries, tensors));
    for (const tensor of tensors) await writeTensor(sink, tensor, onBytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { bytes: sink.bytes, sha256: sink.hash.digest('hex') };
}

interface Sink {
  readonly path: string;
  readonly handle: FileHandle;
  readonly hash: ReturnType<typeof createHash>;
  bytes: number;
}

function outputError(path: string, cause: unknown): PairscoreError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PairscoreError('ERR_OUTPUT', `Expected to write ${path} but could not: ${reason}`, { file: path, cause });
}

async function write(sink: Sink, bytes: Uint8Array): Promise<void> {
  sink.hash.update(bytes);
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await sink.handle
      .write(bytes, done, Math.min(bytes.length - done, 1 << 30))
      .catch((cause: unknown) => {
        throw outputError(sink.path, cause);
      });
    done += bytesWritten;
  }
  sink.bytes += bytes.length;
}

async function writeTensor(sink: Sink, tensor: OutputTensor, onBytes: OnBytes): Promise<void> {
  const start = sink.bytes;
  for await (const chunk of tensor.chunks()) {
    await write(sink, chunk);
    onBytes(tensor.name, chunk.length);
  }
  const expected = tensorBytes(tensor);
  if (sink.bytes - start !== expected) {
    throw new PairscoreError(
      'ERR_INTERNAL',
      `Expected ${expected} bytes of ${tensor.name} but wrote ${sink.bytes - start}`,
    );
  }
  await write(sink, Buffer.alloc(alignTo(sink.bytes, DEFAULT_ALIGNMENT) - sink.bytes));
}

function header(entries: readonly GgufEntry[], tensors: readonly OutputTensor[]): Buffer {
  const parts: Buffer[] = [
    Buffer.from(GGUF_MAGIC, 'latin1'),
    u32(GGUF_VERSION),
    u64(tensors.length),
    u64(entries.length),
  ];
  for (const [key, value] of entries) parts.push(encodeString(key), encodeValue(value));
  let offset = 0;
  for (const tensor of tensors) {
    parts.push(
      encodeString(tensor.name),
      u32(tensor.ne.length),
      ...tensor.ne.map(u64),
      u32(ggmlTypeId(tensor.type)),
      u64(offset),
    );
    offset = alignTo(offset + tensorBytes(tensor), DEFAULT_ALIGNMENT);
  }
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes, Buffer.alloc(alignTo(bytes.length, DEFAULT_ALIGNMENT) - bytes.length)]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
