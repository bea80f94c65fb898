import { PairscoreError } from '../errors';
import { brainBits, halfBits } from './bits';
import { isCount, isObject, type JsonObject, parseObject } from './json';
import {
  aligned,
  type DType,
  dtypeSize,
  elementCount,
  readAll,
  readFloats,
  type SourceTensor,
  type TensorStore,
} from './tensor';

/**
 * Tensors that bitsandbytes quantised, as the weights that its own kernels compute with: NF4 and FP4, with or without
 * double quantisation, rounded to the type in which the model ran; LLM.int8 in f32.
 */
export async function dequantisedStore(store: TensorStore): Promise<TensorStore> {
  const tensors = new Map<string, SourceTensor>();
  const consumed = new Set<string>();
  for (const tensor of store.tensors.values()) {
    const state = ['nf4', 'fp4']
      .map((kind) => `${tensor.name}.quant_state.bitsandbytes__${kind}`)
      .find((name) => store.tensors.has(name));
    if (state !== undefined) tensors.set(tensor.name, await fourBit(store, { tensor, state, consumed }));
    else if (tensor.dtype === 'I8' && tensor.name.endsWith('.weight'))
      tensors.set(tensor.name, await eightBit(store, tensor, consumed));
    else tensors.set(tensor.name, tensor);
  }
  for (const name of consumed) tensors.delete(name);
  return { ...store, tensors, close: () => store.close() };
}

function refuse(store: TensorStore, message: string): PairscoreError {
  return new PairscoreError('ERR_MODEL_FILE', `${store.path}: ${message}`, { file: store.path });
}

async function take(store: TensorStore, name: string, consumed: Set<string>): Promise<SourceTensor> {
  const tensor = store.tensors.get(name);
  if (tensor === undefined) throw refuse(store, `Expected ${name} beside the quantised weight but it is missing`);
  consumed.add(name);
  return Promise.resolve(tensor);
}

interface FourBitParts {
  readonly tensor: SourceTensor;
  readonly state: string;
  readonly consumed: Set<string>;
}

interface FourBitState {
  readonly shape: readonly number[];
  readonly dtype: 'F32' | 'F16' | 'BF16';
  readonly blockSize: number;
  readonly nested: { readonly blockSize: number; readonly offset: number } | null;
}

const STATE_DTYPES: Readonly<Record<string, FourBitState['dtype']>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
};

async function fourBit(store: TensorStore, { tensor, state, consumed }: FourBitParts): Promise<SourceTensor> {
  const header = await take(store, state, consumed);
  if (header.byteLength > 65536)
    throw refuse(store, `Expected a small quantisation state but ${state} has ${header.byteLength} bytes`);
  const facts = readState(store, parseObject((await readAll(header)).toString('utf8'), state));
  const count = elementCount(facts.shape);
  const blocks = Math.ceil(count / facts.blockSize);
  if (tensor.dtype !== 'U8' || tensor.byteLength !== Math.ceil(count / 2)) {
    throw refuse(
      store,
      `Expected ${Math.ceil(count / 2)} bytes of ${tensor.name} but received ${tensor.dtype} of ${tensor.byteLength}`,
    );
  }
  const code = await readFloats(await take(store, `${tensor.name}.quant_map`, consumed));
  const absmaxTensor = await take(store, `${tensor.name}.absmax`, consumed);
  const nested = facts.nested === null ? null : await nestedParts(store, tensor.name, consumed);
  if (code.length !== 16 || elementCount(absmaxTensor.shape) !== blocks)
    throw refuse(store, `Expected 16 codes and ${blocks} scales of ${tensor.name}`);
  const byteLength = count * dtypeSize(facts.dtype);
  let scales: Promise<Float32Array> | null = null;
  const read = async (offset: number, length: number): Promise<Buffer> => {
    scales ??= readScales(store, absmaxTensor, facts, nested);
    const bytes = await unpack({ tensor, facts, code, scales: await scales }, offset, length);
    // Tensors are read from end to end: the scales of all of them together would be no small thing.
    if (offset + length === byteLength) scales = null;
    return bytes;
  };
  return { name: tensor.name, dtype: facts.dtype, shape: facts.shape, byteLength, read };
}

function readState(store: TensorStore, json: JsonObject): FourBitState {
  const { shape, dtype, blocksize, nested_blocksize: nestedBlock, nested_offset: offset } = json;
  const type = typeof dtype === 'string' ? STATE_DTYPES[dtype.replace('torch.', '')] : undefined;
  if (!Array.isArray(shape) || !shape.every(isCount) || type === undefined || !isCount(blocksize) || blocksize === 0) {
    throw refuse(store, 'Expected a quantisation state of shape, dtype and blocksize');
  }
  const isNested = nestedBlock !== undefined;
  if (isNested && (!isCount(nestedBlock) || nestedBlock === 0 || typeof offset !== 'number'))
    throw refuse(store, 'Expected nested_blocksize and nested_offset to be numbers');
  const nested = isCount(nestedBlock) && typeof offset === 'number' ? { blockSize: nestedBlock, offset } : null;
  return { shape: shape.filter(isCount), dtype: type, blockSize: blocksize, nested };
}

interface Nested {
  readonly absmax: SourceTensor;
  readonly map: SourceTensor;
}

async function nestedParts(store: TensorStore, name: string, consumed: Set<string>): Promise<Nested> {
  return {
    absmax: await take(store, `${name}.nested_absmax`, consumed),
    map: await take(store, `${name}.nested_quant_map`, consumed),
  };
}

/** The scale of each block; under double quantisation, itself a code times a scale plus an offset. */
async function readScales(
  store: TensorStore,
  absmax: SourceTensor,
  facts: FourBitState,
  nested: Nested | null,
): Promise<Float32Array> {
  if (nested === null || facts.nested === null) return readFloats(absmax);
  const { blockSize, offset } = facts.nested;
  const [codes, scales, map] = [await readAll(absmax), await readFloats(nested.absmax), await readFloats(nested.map)];
  if (absmax.dtype !== 'U8' || map.length !== 256 || scales.length !== Math.ceil(codes.length / blockSize)) {
    throw refuse(store, `Expected nested scales of ${absmax.name} to fit its ${codes.length} blocks`);
  }
  const shift = Math.fround(offset);
  return Float32Array.from(
    codes,
    (code, i) => Math.fround((map[code] ?? 0) * (scales[Math.floor(i / blockSize)] ?? 0)) + shift,
  );
}

interface FourBit {
  readonly tensor: SourceTensor;
  readonly facts: FourBitState;
  readonly code: Float32Array;
  readonly scales: Float32Array;
}

/** Two values a byte, the first in the high half. */
async function unpack({ tensor, facts, code, scales }: FourBit, offset: number, length: number): Promise<Buffer> {
  const width = dtypeSize(facts.dtype);
  const first = offset / width;
  const count = length / width;
  const start = Math.floor(first / 2);
  const packed = await tensor.read(start, Math.ceil((first + count) / 2) - start);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const at = first + i;
    const byte = packed[(at >> 1) - start] ?? 0;
    const nibble = at % 2 === 0 ? byte >> 4 : byte & 15;
    values[i] = (code[nibble] ?? 0) * (scales[Math.floor(at / facts.blockSize)] ?? 0);
  }
  return rounded(values, facts.dtype);
}

function rounded(values: Float32Array, dtype: FourBitState['dtype']): Buffer {
  if (dtype === 'F32') return Buffer.from(values.buffer);
  const bits = dtype === 'BF16' ? brainBits : halfBits;
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) halves[i] = bits(values[i] ?? 0);
  return Buffer.from(halves.buffer);
}

/** What bitsandbytes multiplies by: 1 / 127 in f32. */
const INT8_STEP = Math.fround(7.874015718698502e-3);

async function eightBit(store: TensorStore, tensor: SourceTensor, consumed: Set<string>): Promise<SourceTensor> {
  const module = tensor.name.slice(0, -'.weight'.length);
  const scalesTensor = await take(store, `${module}.SCB`, consumed);
  const format = store.tensors.get(`${module}.weight_format`);
  if (format !== undefined) {
    consumed.add(format.name);
    const layout = (await readAll(format))[0];
    if (layout !== 0)
      throw refuse(store, `Expected ${tensor.name} in row order but received weight_format ${String(layout)}`);
  }
  const [rows = 0, columns = 0] = tensor.shape;
  if (tensor.shape.length !== 2 || elementCount(scalesTensor.shape) !== rows)
    throw refuse(store, `Expected one scale a row of ${tensor.name}`);
  const scales = await readFloats(scalesTensor);
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const bytes = new Int8Array(aligned(await tensor.read(offset / 4, length / 4), 1));
    const values = Float32Array.from(
      bytes,
      (value, i) => Math.fround(value * (scales[Math.floor((offset / 4 + i) / columns)] ?? 0)) * INT8_STEP,
    );
    return Buffer.from(values.buffer);
  };
  const dtype: DType = 'F32';
  return { name: tensor.name, dtype, shape: tensor.shape, byteLength: tensor.byteLength * 4, read };
}

/** Refuses methods other than bitsandbytes; true where the weights are quantised. */
export function usesBitsAndBytes(path: string, config: JsonObject): boolean {
  const quantisation = config['quantization_config'];
  if (quantisation === undefined || quantisation === null) return false;
  const method = isObject(quantisation) ? (quantisation['quant_method'] ?? 'bitsandbytes') : null;
  if (method === 'bitsandbytes') return true;
  throw new PairscoreError(
    'ERR_MODEL_MISMATCH',
    `${path}: Expected weights in 16 or 32 bits or quantised by bitsandbytes but received ${JSON.stringify(method)}`,
    { file: path },
  );
}
