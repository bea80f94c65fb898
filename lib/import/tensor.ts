/** A tensor as it lies in a checkpoint, read on demand. */

const DTYPE_SIZES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

export type DType = keyof typeof DTYPE_SIZES;

export interface SourceTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Bytes [offset, offset + length) of the row-major little-endian values. */
  read(offset: number, length: number): Promise<Buffer>;
}

export interface TensorStore {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, SourceTensor>;
  /** Keys of values that are no tensors. */
  readonly others: readonly string[];
  close(): Promise<void>;
}

export function isDType(name: string): name is DType {
  return Object.hasOwn(DTYPE_SIZES, name);
}

export function dtypeSize(dtype: DType): number {
  return DTYPE_SIZES[dtype];
}

/** Number of elements, or NaN where it is no safe integer. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return Number.isSafeInteger(count) ? count : NaN;
}

export function readAll(tensor: SourceTensor): Promise<Buffer> {
  return tensor.read(0, tensor.byteLength);
}

export function isFloat(dtype: DType): dtype is 'F64' | 'F32' | 'F16' | 'BF16' {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16' || dtype === 'F64';
}

/** The values of a floating point tensor: exact for every type but F64. */
export async function readFloats(tensor: SourceTensor): Promise<Float32Array> {
  if (!isFloat(tensor.dtype)) throw new TypeError(`Expected a floating point tensor but received ${tensor.dtype}`);
  return toFloats(await readAll(tensor), tensor.dtype);
}

export function toFloats(bytes: Uint8Array, dtype: 'F64' | 'F32' | 'F16' | 'BF16'): Float32Array {
  const view = aligned(bytes, dtypeSize(dtype));
  if (dtype === 'F32') return new Float32Array(view);
  if (dtype === 'F64') return Float32Array.from(new Float64Array(view));
  const halves = new Uint16Array(view);
  return dtype === 'BF16' ? brainToFloats(halves) : halfToFloats(halves);
}

/** A buffer that starts at the first byte, so that typed arrays of any width may look at it. */
export function aligned(bytes: Uint8Array, width: number): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes;
  const exact = byteOffset === 0 && byteLength === buffer.byteLength && byteLength % width === 0;
  return exact && buffer instanceof ArrayBuffer ? buffer : new Uint8Array(bytes).buffer;
}

function brainToFloats(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] ?? 0) << 16;
  return new Float32Array(bits.buffer);
}

function halfToFloats(halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) out[i] = halfToNumber(halves[i] ?? 0);
  return out;
}

function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
