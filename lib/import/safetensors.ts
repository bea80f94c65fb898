import { type ByteFile, fileError, openByteFile } from '../model/byte-file';
import { isCount, isObject, parseObject } from './json';
import { dtypeSize, elementCount, isDType, type SourceTensor, type TensorStore } from './tensor';

/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;

/** Opens one safetensors file. Every byte of the data belongs to exactly one tensor, as the format demands. */
export async function openSafetensors(path: string): Promise<TensorStore> {
  const file = await openByteFile(path);
  try {
    const tensors = await readHeader(file);
    return { path, tensors, others: [], close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeader(file: ByteFile): Promise<ReadonlyMap<string, SourceTensor>> {
  const length = Number((await file.read(0, 8)).readBigUInt64LE(0));
  if (length > MAX_HEADER_BYTES || 8 + length > file.size) {
    throw fileError(
      file.path,
      `Expected a header of at most ${Math.min(MAX_HEADER_BYTES, file.size - 8)} bytes but received ${length}`,
    );
  }
  const header = parseObject((await file.read(8, length)).toString('utf8'), file.path);
  const tensors = new Map<string, SourceTensor>();
  const spans: Span[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const span = readEntry(file, name, entry);
    spans.push(span);
    const start = 8 + length + span.begin;
    tensors.set(name, {
      name,
      dtype: span.dtype,
      shape: span.shape,
      byteLength: span.end - span.begin,
      read: (offset, count) => readSpan(file, start, span.end - span.begin, [offset, count]),
    });
  }
  checkCoverage(file, spans, file.size - 8 - length);
  return tensors;
}

type Span = {
  readonly name: string;
  readonly dtype: SourceTensor['dtype'];
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
};

function readEntry(file: ByteFile, name: string, entry: unknown): Span {
  if (!isObject(entry)) throw fileError(file.path, `Expected an object for tensor ${name}`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !isDType(dtype)) {
    throw fileError(file.path, `Expected a known dtype for tensor ${name} but received ${JSON.stringify(dtype)}`);
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) throw fileError(file.path, `Expected a shape for tensor ${name}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw fileError(file.path, `Expected two data_offsets for tensor ${name}`);
  }
  const [begin = 0, end = 0] = offsets.filter(isCount);
  const dimensions = shape.filter(isCount);
  if (elementCount(dimensions) * dtypeSize(dtype) !== end - begin) {
    throw fileError(
      file.path,
      `Expected ${elementCount(dimensions) * dtypeSize(dtype)} bytes for tensor ${name} ${dtype} [${dimensions.join(', ')}] but received ${end - begin}`,
    );
  }
  return { name, dtype, shape: dimensions, begin, end };
}

function checkCoverage(file: ByteFile, spans: readonly Span[], dataBytes: number): void {
  const sorted = [...spans].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let reached = 0;
  for (const span of sorted) {
    if (span.begin !== reached) {
      const fault = span.begin < reached ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw fileError(
        file.path,
        `Expected tensor ${span.name} at byte ${reached} but received ${span.begin}: it ${fault}`,
      );
    }
    reached = span.end;
  }
  if (reached !== dataBytes) {
    throw fileError(
      file.path,
      `Expected ${reached} bytes of tensors but received ${dataBytes}: the file is truncated or has a tail`,
    );
  }
}

function readSpan(file: ByteFile, start: number, size: number, range: readonly [number, number]): Promise<Buffer> {
  const [offset, length] = range;
  if (offset < 0 || length < 0 || offset + length > size) throw new RangeError('Expected a range inside the tensor');
  return file.read(start + offset, length);
}
