import { fileError } from '../model/byte-file';
import { isCount } from './json';
import {
  PickleDict,
  PickleGlobal,
  PickleList,
  PickleStorage,
  PickleTensor,
  PickleTuple,
  type PickleValue,
} from './pickle-values';
import type { DType } from './tensor';

const STORAGES: ReadonlyMap<string, DType> = new Map([
  ['torch.DoubleStorage', 'F64'],
  ['torch.FloatStorage', 'F32'],
  ['torch.HalfStorage', 'F16'],
  ['torch.BFloat16Storage', 'BF16'],
  ['torch.LongStorage', 'I64'],
  ['torch.IntStorage', 'I32'],
  ['torch.ShortStorage', 'I16'],
  ['torch.CharStorage', 'I8'],
  ['torch.ByteStorage', 'U8'],
  ['torch.BoolStorage', 'BOOL'],
]);

const REBUILD_TENSOR = 'torch._utils._rebuild_tensor_v2';
const REBUILD_PARAMETER = 'torch._utils._rebuild_parameter';
const ORDERED_DICT = 'collections.OrderedDict';
const SIZE = 'torch.Size';
const DTYPE = /^torch\.(float(16|32|64)|bfloat16|u?int8|int(16|32|64)|bool)$/;

export function isAllowed(name: string): boolean {
  return (
    [REBUILD_TENSOR, REBUILD_PARAMETER, ORDERED_DICT, SIZE].includes(name) || STORAGES.has(name) || DTYPE.test(name)
  );
}

export function storageDType(storage: PickleStorage): DType | undefined {
  return STORAGES.get(storage.type);
}

/** What the allowed names build, out of plain values. */
export function callGlobal(name: string, args: readonly PickleValue[], path: string): PickleValue {
  if (name === ORDERED_DICT) return orderedDict(args, path);
  if (name === REBUILD_TENSOR) return rebuildTensor(args, path);
  const first = args[0] ?? null;
  if (name === REBUILD_PARAMETER && first instanceof PickleTensor) return first;
  if (name === SIZE && first instanceof PickleTuple) return first;
  throw fileError(path, `Expected ${name} to be called as torch.save does but received other arguments`);
}

function orderedDict(args: readonly PickleValue[], path: string): PickleDict {
  const dict = new PickleDict();
  const pairs = args[0] ?? null;
  if (args.length === 0) return dict;
  if (!(pairs instanceof PickleList) || args.length > 1)
    throw fileError(path, 'Expected OrderedDict of a list of pairs');
  for (const pair of pairs.items) {
    const items = pair instanceof PickleList || pair instanceof PickleTuple ? pair.items : [];
    if (items.length !== 2) throw fileError(path, 'Expected OrderedDict of a list of pairs');
    dict.entries.set(items[0] ?? null, items[1] ?? null);
  }
  return dict;
}

function rebuildTensor(args: readonly PickleValue[], path: string): PickleTensor {
  const [storage = null, offset = null, shape = null, strides = null] = args;
  const dimensions = counts(shape);
  const steps = counts(strides);
  if (!(storage instanceof PickleStorage) || !isCount(offset) || dimensions === null || steps === null) {
    throw fileError(path, 'Expected _rebuild_tensor_v2(storage, offset, shape, strides) but received other arguments');
  }
  if (dimensions.length !== steps.length) throw fileError(path, 'Expected as many strides as dimensions');
  const last = dimensions.reduce((sum, size, i) => sum + (size - 1) * (steps[i] ?? 0), offset);
  if (!dimensions.includes(0) && !(last < storage.elements)) {
    throw fileError(
      path,
      `Expected a tensor inside its storage of ${storage.elements} elements but it reaches ${last}`,
    );
  }
  return new PickleTensor(storage, offset, dimensions, steps);
}

function counts(value: PickleValue): readonly number[] | null {
  if (!(value instanceof PickleTuple)) return null;
  const numbers = value.items.filter(isCount);
  return numbers.length === value.items.length ? numbers : null;
}

/** ('storage', StorageType, key, device, elements) */
export function loadPersistent(id: PickleValue, path: string): PickleStorage {
  const items = id instanceof PickleTuple ? id.items : [];
  const [tag, type, key, , elements] = items;
  const known = tag === 'storage' && type instanceof PickleGlobal && STORAGES.has(type.name);
  if (!known || typeof key !== 'string' || !isCount(elements)) {
    throw fileError(path, 'Expected a persistent id of a tensor storage but received another one');
  }
  return new PickleStorage(type.name, key, elements);
}
