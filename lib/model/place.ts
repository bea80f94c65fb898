/** Which devices each model runs on, how it is kept there, and how large the batches of a GPU may be. Pure: the machine is an argument. */

import type { WeightStorage } from '../compute';
import type { DeviceInfo } from '../native/contract';
import { placeOn, isShortage, type Shortage, type SizedWish, type Spread } from './place-on';
import { refuseUnknownDevice, tooLittleMemory } from './place-errors';

/** What one model asks for. */
export interface Wish {
  readonly name: string;
  /** 'cpu', 'cuda:N' or 'auto', as written. */
  readonly devices: readonly string[];
  /** Tokens of its longest sequence: no batch can be smaller. */
  readonly maxLength: number;
  /** How a GPU may keep its weights, the fastest first, each smaller than the one before it. */
  readonly storages: readonly WeightStorage[];
  /** Memory that it needs on a GPU. */
  readonly gpuBytes: (use: GpuUse) => number;
}

export interface GpuUse {
  readonly batchTokens: number;
  readonly weights: WeightStorage;
}

/** What a machine offers. */
export interface Room {
  readonly machine: readonly DeviceInfo[];
  /** On each GPU, for what no model counts as its own. */
  readonly spareBytes: number;
}

export interface Placement {
  /** In the order of the wishes. */
  readonly devices: readonly (readonly string[])[];
  readonly gpuWeights: readonly WeightStorage[];
  readonly gpuBatchTokens: number;
}

/** Batch sizes to try, the largest first. Those of one list are so alike in speed that weights are kept small last. */
export type BatchSizes = readonly (readonly number[])[];

/** A hint is rounded down to this many tokens. */
const HINT_STEP = 256;

/**
 * 'auto': on every GPU where all such models fit together, so that rows can be balanced: with the weights of some models
 * kept small, then with much smaller batches, if that makes them fit; else each model where it fits alone, the largest first;
 * without a GPU, the CPU.
 * Throws ERR_DEVICE_UNKNOWN and ERR_DEVICE_MEMORY.
 */
export function placeModels(wishes: readonly Wish[], room: Room, batchTokens: BatchSizes): Placement {
  for (const wish of wishes) refuseUnknownDevice(wish, room.machine);
  for (const spread of ['everywhere', 'oneEach'] as const) {
    for (const sizes of batchTokens) {
      const placement = trySizes(wishes, room, { spread, sizes });
      if (!isShortage(placement)) return placement;
    }
  }
  const tokens = batchTokens.at(-1)?.at(-1) ?? 0;
  const shortage = trySizes(wishes, room, { spread: 'oneEach', sizes: [tokens] });
  if (!isShortage(shortage)) return shortage;
  throw tooLittleMemory(shortage, { tokens, fits: largestThatFits(wishes, room, tokens) });
}

interface Plan {
  readonly spread: Spread;
  readonly sizes: readonly number[];
}

/** With the fastest storage that fits, in the largest batch that it fits with; the last shortage where none does. */
function trySizes(wishes: readonly Wish[], room: Room, { spread, sizes }: Plan): Placement | Shortage {
  const choices = sizes
    .flatMap((tokens) => storageChoices(wishes, tokens).map((sized, shrunk) => ({ sized, shrunk, tokens })))
    .sort((a, b) => a.shrunk - b.shrunk);
  let shortage: Shortage | undefined;
  for (const { sized, tokens } of choices) {
    const devices = placeOn(sized, room, spread);
    if (!isShortage(devices)) {
      return { devices, gpuWeights: sized.map(({ weights }) => weights), gpuBatchTokens: tokens };
    }
    shortage = devices;
  }
  return shortage ?? { devices: [], gpuWeights: [], gpuBatchTokens: sizes.at(-1) ?? 0 };
}

/** All models in their fastest storage; then one after the other in its smallest, those first that free most by it. */
function storageChoices(wishes: readonly Wish[], tokens: number): readonly (readonly SizedWish[])[] {
  const sizes = wishes.map((wish) => {
    const sized = wish.storages.map((weights) => ({
      wish,
      weights,
      bytes: wish.gpuBytes({ batchTokens: tokens, weights }),
    }));
    return { fastest: sized[0], smallest: sized.at(-1) };
  });
  const freed = ({ fastest, smallest }: (typeof sizes)[number]): number =>
    (fastest?.bytes ?? 0) - (smallest?.bytes ?? 0);
  const shrinking = sizes.filter((size) => freed(size) > 0).sort((a, b) => freed(b) - freed(a));
  return Array.from({ length: shrinking.length + 1 }, (_, count) => {
    const small = new Set(shrinking.slice(0, count));
    return sizes.flatMap((size) => (small.has(size) ? size.smallest : size.fastest) ?? []);
  });
}

/** The largest batch size below `tokens` that would fit, or undefined where memory is too little for any. */
function largestThatFits(wishes: readonly Wish[], room: Room, tokens: number): number | undefined {
  const fits = (steps: number): boolean =>
    !isShortage(trySizes(wishes, room, { spread: 'oneEach', sizes: [steps * HINT_STEP] }));
  let low = Math.ceil(Math.max(...wishes.map(({ maxLength }) => maxLength)) / HINT_STEP);
  let high = Math.ceil(tokens / HINT_STEP);
  if (low >= high || !fits(low)) return undefined;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low * HINT_STEP;
}
