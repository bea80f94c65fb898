import { PairscoreError } from '../errors';
import type { BaseShape } from './base-shape';
import { blockLength, type GgmlType } from '../model/gguf-types';

/** A mixture by llama.cpp's name: its number in general.file_type, and the type that most tensors get. */
const MIXTURES = {
  f32: [0, 'f32'],
  f16: [1, 'f16'],
  bf16: [32, 'bf16'],
  q4_0: [2, 'q4_0'],
  q4_1: [3, 'q4_1'],
  q5_0: [8, 'q5_0'],
  q5_1: [9, 'q5_1'],
  q8_0: [7, 'q8_0'],
  q2_k: [10, 'q2_K'],
  q3_k_s: [11, 'q3_K'],
  q3_k_m: [12, 'q3_K'],
  q3_k_l: [13, 'q3_K'],
  q4_k_s: [14, 'q4_K'],
  q4_k_m: [15, 'q4_K'],
  q5_k_s: [16, 'q5_K'],
  q5_k_m: [17, 'q5_K'],
  q6_k: [18, 'q6_K'],
} as const satisfies Readonly<Record<string, readonly [number, GgmlType]>>;

export type Mixture = keyof typeof MIXTURES;

export function parseMixture(name: string): Mixture {
  const lower = name.toLowerCase();
  if (isMixture(lower)) return lower;
  throw new PairscoreError(
    'ERR_USAGE',
    `Expected --type to be one of ${Object.keys(MIXTURES).join(', ')} but received ${name}`,
  );
}

function isMixture(name: string): name is Mixture {
  return Object.hasOwn(MIXTURES, name);
}

export function fileType(mixture: Mixture): number {
  return MIXTURES[mixture][0];
}

/** A matrix whose type is to be chosen. */
export interface Matrix {
  readonly name: string;
  readonly columns: number;
  readonly isTied: boolean;
}

/** The type of a matrix in a mixture: the rules of llama.cpp's quantiser for these two architectures. */
export function matrixType(mixture: Mixture, matrix: Matrix, base: BaseShape): GgmlType {
  const most = MIXTURES[mixture][1];
  if (most === 'f32' || most === 'f16' || most === 'bf16') return most;
  return fallBack(chooseType(mixture, matrix, base), matrix.columns);
}

function chooseType(mixture: Mixture, matrix: Matrix, base: BaseShape): GgmlType {
  const most = MIXTURES[mixture][1];
  const [, number, part = ''] = /^blk\.(\d+)\.(\w+)\.weight$/.exec(matrix.name) ?? [];
  const isOutput = matrix.name === 'output.weight' || (matrix.isTied && matrix.name === 'token_embd.weight');
  if (isOutput) return matrix.columns % blockLength(most) !== 0 || most === 'q8_0' ? 'q8_0' : 'q6_K';
  const layer = Number(number);
  if (part === 'attn_v') return valueType(mixture, layer, base);
  if (part === 'ffn_down') return downType(mixture, layer, base.layers);
  if (part === 'attn_output') return outputType(mixture);
  return most;
}

/** Layers at both ends, and every third between, matter more. */
function needsMoreBits(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2;
}

function valueType(mixture: Mixture, layer: number, base: BaseShape): GgmlType {
  const isGrouped = base.heads / base.kvHeads >= 4;
  let type: GgmlType = MIXTURES[mixture][1];
  if (mixture === 'q2_k') type = isGrouped ? 'q4_K' : 'q3_K';
  else if (mixture === 'q3_k_m') type = layer < 2 ? 'q5_K' : 'q4_K';
  else if (mixture === 'q3_k_l') type = 'q5_K';
  else if ((mixture === 'q4_k_m' || mixture === 'q5_k_m') && needsMoreBits(layer, base.layers)) type = 'q6_K';
  else if (mixture === 'q4_k_s' && layer < 4) type = 'q5_K';
  // llama.cpp knows the 70B by its 80 layers; eight of its heads share each value matrix.
  const is70B = base.architecture === 'llama' && base.layers === 80 && base.heads !== base.kvHeads;
  return is70B && (type === 'q3_K' || type === 'q4_K') ? 'q5_K' : type;
}

function downType(mixture: Mixture, layer: number, layers: number): GgmlType {
  switch (mixture) {
    case 'q2_k':
      return 'q3_K';
    case 'q3_k_m':
      return layer < Math.floor(layers / 16) ? 'q5_K' : 'q4_K';
    case 'q3_k_l':
      return 'q5_K';
    case 'q4_k_m':
    case 'q5_k_m':
      return needsMoreBits(layer, layers) ? 'q6_K' : MIXTURES[mixture][1];
    case 'q4_k_s':
      return layer < Math.floor(layers / 8) ? 'q5_K' : 'q4_K';
    default:
      return MIXTURES[mixture][1];
  }
}

/** What takes the place of a type whose blocks do not divide the rows. */
function fallBack(type: GgmlType, columns: number): GgmlType {
  if (columns % blockLength(type) === 0) return type;
  const smaller: Readonly<Partial<Record<GgmlType, GgmlType>>> = {
    q2_K: 'q4_0',
    q3_K: 'q4_0',
    q4_K: 'q5_0',
    q5_K: 'q5_1',
    q6_K: 'q8_0',
  };
  const next = smaller[type] ?? type;
  return columns % blockLength(next) === 0 ? next : 'f16';
}

function outputType(mixture: Mixture): GgmlType {
  if (mixture === 'q2_k') return 'q3_K';
  if (mixture === 'q3_k_m') return 'q4_K';
  return mixture === 'q3_k_l' ? 'q5_K' : MIXTURES[mixture][1];
}
