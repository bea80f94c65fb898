import { type ByteFile, fileError, openByteFile } from '../model/byte-file';
import { readPickle } from './pickle';
import { storageDType } from './pickle-globals';
import { PickleDict, PickleTensor, type PickleValue } from './pickle-values';
import { dtypeSize, elementCount, type SourceTensor, type TensorStore } from './tensor';
import { readZip, type ZipEntry } from './zip';

const MAX_PICKLE_BYTES = 256 * 1024 * 1024;
/** A tensor that is no plain run of its storage is gathered in memory; this bounds it. */
const MAX_GATHER_BYTES = 256 * 1024 * 1024;
/** Names under which training loops keep the state dict inside a checkpoint. */
const WRAPPERS = ['model_state_dict', 'state_dict', 'model_state', 'model', 'module', 'net', 'adapter', 'lora'];
const MAX_WRAPPERS = 4;

/** Opens what torch.save wrote (zip format, PyTorch 1.6 and later). Executes nothing. */
export async function openTorch(path: string): Promise<TensorStore> {
  const file = await openByteFile(path);
  try {
    await refuseLegacy(file);
    const entries = await readZip(file);
    const [pickle, prefix] = findPickle(file, entries);
    await checkByteOrder(file, entries.get(`${prefix}byteorder`));
    const dict = unwrap(readPickle(await file.read(pickle.offset, pickle.size), path), path);
    return collect(file, dict, { entries, prefix });
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function refuseLegacy(file: ByteFile): Promise<void> {
  const head = await file.read(0, Math.min(file.size, 4));
  if (head.toString('latin1') === 'PK\x03\x04') return;
  if (head[0] === 0x80) {
    throw fileError(
      file.path,
      'Expected the zip format of torch.save but received a bare pickle (PyTorch before 1.6, or another program): save it again with a current PyTorch',
    );
  }
  throw fileError(file.path, 'Expected the zip format of torch.save but received another format');
}

function findPickle(file: ByteFile, entries: ReadonlyMap<string, ZipEntry>): readonly [ZipEntry, string] {
  for (const [name, entry] of entries) {
    const match = /^([^/]+\/)data\.pkl$/.exec(name);
    if (match?.[1] === undefined) continue;
    if (entries.has(`${match[1]}constants.pkl`))
      throw fileError(file.path, 'Expected a state dict but received a TorchScript program');
    if (entry.size > MAX_PICKLE_BYTES)
      throw fileError(file.path, `Expected a pickle of at most ${MAX_PICKLE_BYTES} bytes but received ${entry.size}`);
    return [entry, match[1]];
  }
  throw fileError(file.path, 'Expected data.pkl in the archive but it is missing');
}

async function checkByteOrder(file: ByteFile, entry: ZipEntry | undefined): Promise<void> {
  if (entry === undefined || entry.size > 16) return;
  const order = (await file.read(entry.offset, entry.size)).toString('utf8').trim();
  if (order !== 'little')
    throw fileError(file.path, `Expected little-endian tensors but received ${JSON.stringify(order)}`);
}

function unwrap(value: PickleValue, path: string): PickleDict {
  let current = value;
  for (let depth = 0; depth < MAX_WRAPPERS; depth++) {
    if (!(current instanceof PickleDict)) break;
    const { entries }: PickleDict = current;
    if ([...entries.values()].some((item) => item instanceof PickleTensor)) return current;
    const inner: PickleValue | undefined = WRAPPERS.map((name) => entries.get(name)).find(
      (item) => item instanceof PickleDict,
    );
    if (inner === undefined) break;
    current = inner;
  }
  throw fileError(path, `Expected a state dict, bare or under one of ${WRAPPERS.join(', ')}, but found no tensors`);
}

interface Archive {
  readonly entries: ReadonlyMap<string, ZipEntry>;
  readonly prefix: string;
}

function collect(file: ByteFile, dict: PickleDict, archive: Archive): TensorStore {
  const tensors = new Map<string, SourceTensor>();
  const others: string[] = [];
  for (const [key, value] of dict.entries) {
    if (typeof key === 'string' && value instanceof PickleTensor)
      tensors.set(key, toSource(file, [key, value], archive));
    else others.push(typeof key === 'string' ? key : `a key of type ${typeof key}`);
  }
  return { path: file.path, tensors, others, close: () => file.close() };
}

function toSource(file: ByteFile, item: readonly [string, PickleTensor], archive: Archive): SourceTensor {
  const [name, tensor] = item;
  const dtype = storageDType(tensor.storage);
  const entry = archive.entries.get(`${archive.prefix}data/${tensor.storage.key}`);
  if (dtype === undefined || entry === undefined)
    throw fileError(file.path, `Expected the storage of ${name} in the archive but it is missing`);
  const width = dtypeSize(dtype);
  if (tensor.storage.elements * width > entry.size) {
    throw fileError(
      file.path,
      `Expected ${tensor.storage.elements * width} bytes of storage for ${name} but received ${entry.size}`,
    );
  }
  const byteLength = elementCount(tensor.shape) * width;
  if (!Number.isSafeInteger(byteLength)) throw fileError(file.path, `Expected a shape for ${name} but it is too large`);
  const base = { name, dtype, shape: tensor.shape, byteLength };
  if (!isContiguous(tensor)) return { ...base, read: gather(file, tensor, { start: entry.offset, width, byteLength }) };
  const start = entry.offset + tensor.offset * width;
  const read = (offset: number, length: number): Promise<Buffer> => {
    if (offset < 0 || length < 0 || offset + length > byteLength)
      throw new RangeError('Expected a range inside the tensor');
    return file.read(start + offset, length);
  };
  return { ...base, read };
}

function isContiguous(tensor: PickleTensor): boolean {
  let step = 1;
  for (let i = tensor.shape.length - 1; i >= 0; i--) {
    const size = tensor.shape[i] ?? 1;
    if (size !== 1 && tensor.strides[i] !== step) return false;
    step *= size;
  }
  return true;
}

interface Span {
  readonly start: number;
  readonly width: number;
  readonly byteLength: number;
}

/** Reader of a transposed or expanded view: walks the strides. */
function gather(file: ByteFile, tensor: PickleTensor, span: Span): SourceTensor['read'] {
  const storageBytes = tensor.storage.elements * span.width;
  return async (offset, length) => {
    if (Math.max(storageBytes, span.byteLength) > MAX_GATHER_BYTES) {
      throw fileError(
        file.path,
        `Expected a contiguous tensor above ${MAX_GATHER_BYTES} bytes: call .contiguous() before saving`,
      );
    }
    const storage = await file.read(span.start, storageBytes);
    const out = Buffer.alloc(span.byteLength);
    const index = tensor.shape.map(() => 0);
    for (let at = 0; at < span.byteLength; at += span.width) {
      const from = index.reduce((sum, value, i) => sum + value * (tensor.strides[i] ?? 0), tensor.offset) * span.width;
      storage.copy(out, at, from, from + span.width);
      for (let i = index.length - 1; i >= 0; i--) {
        index[i] = (index[i] ?? 0) + 1;
        if ((index[i] ?? 0) < (tensor.shape[i] ?? 0)) break;
        index[i] = 0;
      }
    }
    return out.subarray(offset, offset + length);
  };
}
