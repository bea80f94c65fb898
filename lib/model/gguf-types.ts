/** All of the pinned ggml's tensor types: id, values a block, bytes a block. */
const TENSOR_TYPES = {
  f32: [0, 1, 4],
  f16: [1, 1, 2],
  q4_0: [2, 32, 18],
  q4_1: [3, 32, 20],
  q5_0: [6, 32, 22],
  q5_1: [7, 32, 24],
  q8_0: [8, 32, 34],
  q8_1: [9, 32, 36],
  q2_K: [10, 256, 84],
  q3_K: [11, 256, 110],
  q4_K: [12, 256, 144],
  q5_K: [13, 256, 176],
  q6_K: [14, 256, 210],
  q8_K: [15, 256, 292],
  iq2_xxs: [16, 256, 66],
  iq2_xs: [17, 256, 74],
  iq3_xxs: [18, 256, 98],
  iq1_s: [19, 256, 50],
  iq4_nl: [20, 32, 18],
  iq3_s: [21, 256, 110],
  iq2_s: [22, 256, 82],
  iq4_xs: [23, 256, 136],
  i8: [24, 1, 1],
  i16: [25, 1, 2],
  i32: [26, 1, 4],
  i64: [27, 1, 8],
  f64: [28, 1, 8],
  iq1_m: [29, 256, 56],
  bf16: [30, 1, 2],
  tq1_0: [34, 256, 54],
  tq2_0: [35, 256, 66],
  mxfp4: [39, 32, 17],
  nvfp4: [40, 64, 36],
  q1_0: [41, 128, 18],
  q2_0: [42, 64, 18],
} as const satisfies Readonly<Record<string, readonly [number, number, number]>>;

/** A tensor type by ggml's own name of it. */
export type GgmlType = keyof typeof TENSOR_TYPES;

const BY_ID: ReadonlyMap<number, GgmlType> = new Map(
  Object.keys(TENSOR_TYPES)
    .filter(isGgmlType)
    .map((name) => [TENSOR_TYPES[name][0], name]),
);

export function isGgmlType(name: string): name is GgmlType {
  return Object.hasOwn(TENSOR_TYPES, name);
}

export function ggmlTypeId(type: GgmlType): number {
  return TENSOR_TYPES[type][0];
}

export function ggmlTypeOf(id: number): GgmlType | undefined {
  return BY_ID.get(id);
}

export function blockLength(type: GgmlType): number {
  return TENSOR_TYPES[type][1];
}

/** Bytes of a row, or NaN where the row is no whole number of blocks. */
export function rowBytes(type: GgmlType, columns: number): number {
  const [, values, bytes] = TENSOR_TYPES[type];
  return columns % values === 0 ? (columns / values) * bytes : NaN;
}

/** The types of metadata values, by their id. */
export const VALUE_TYPES = [
  'uint8',
  'int8',
  'uint16',
  'int16',
  'uint32',
  'int32',
  'float32',
  'bool',
  'string',
  'array',
  'uint64',
  'int64',
  'float64',
] as const;

export type ValueType = (typeof VALUE_TYPES)[number];

/** Bytes of each fixed-width type. */
export const VALUE_SIZES: Readonly<Partial<Record<ValueType, number>>> = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  float32: 4,
  bool: 1,
  uint64: 8,
  int64: 8,
  float64: 8,
};

export const GGUF_MAGIC = 'GGUF';
export const GGUF_VERSION = 3;
export const DEFAULT_ALIGNMENT = 32;

export function alignTo(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
