import { VALUE_TYPES, type ValueType } from '../model/gguf-types';

/** A metadata value to be written. `raw` is one copied from another file: type id and payload as they stood there. */
export type GgufValue =
  | { readonly type: 'uint32' | 'int32' | 'float32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'int32s'; readonly value: readonly number[] }
  | { readonly type: 'float32s'; readonly value: readonly number[] }
  | { readonly type: 'raw'; readonly value: Buffer };

export type GgufEntry = readonly [key: string, value: GgufValue];

export function uint32(value: number): GgufValue {
  return { type: 'uint32', value };
}

export function float32(value: number): GgufValue {
  return { type: 'float32', value };
}

export function text(value: string): GgufValue {
  return { type: 'string', value };
}

export function flag(value: boolean): GgufValue {
  return { type: 'bool', value };
}

export function encodeString(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes]);
}

/** Type id and payload. */
export function encodeValue(entry: GgufValue): Buffer {
  switch (entry.type) {
    case 'raw':
      return entry.value;
    case 'string':
      return Buffer.concat([typeId('string'), encodeString(entry.value)]);
    case 'strings':
      return Buffer.concat([arrayHead('string', entry.value.length), ...entry.value.map(encodeString)]);
    case 'int32s':
      return Buffer.concat([arrayHead('int32', entry.value.length), Buffer.from(Int32Array.from(entry.value).buffer)]);
    case 'float32s':
      return Buffer.concat([
        arrayHead('float32', entry.value.length),
        Buffer.from(Float32Array.from(entry.value).buffer),
      ]);
    case 'bool':
      return Buffer.concat([typeId('bool'), Buffer.from([entry.value ? 1 : 0])]);
    default:
      return Buffer.concat([typeId(entry.type), encodeNumber(entry.type, entry.value)]);
  }
}

function encodeNumber(type: 'uint32' | 'int32' | 'float32', value: number): Buffer {
  const bytes = Buffer.alloc(4);
  if (type === 'uint32') bytes.writeUInt32LE(value);
  else if (type === 'int32') bytes.writeInt32LE(value);
  else bytes.writeFloatLE(value);
  return bytes;
}

function typeId(type: ValueType): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(VALUE_TYPES.indexOf(type));
  return bytes;
}

function arrayHead(type: ValueType, count: number): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(count));
  return Buffer.concat([typeId('array'), typeId(type), length]);
}
