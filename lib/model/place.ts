/** Which devices each model runs on, and how large the batches of a GPU may be. Pure: the machine is an argument. */

import { PairscoreError } from '../errors';
import type { DeviceInfo } from '../native/contract';

/** What one model asks for. */
export interface Wish {
  readonly name: string;
  /** 'cpu', 'cuda:N' or 'auto', as written. */
  readonly devices: readonly string[];
  /** Tokens of its longest sequence: no batch can be smaller. */
  readonly maxLength: number;
  /** Memory that it needs on a GPU for batches of so many tokens. */
  readonly gpuBytes: (batchTokens: number) => number;
}

export interface Placement {
  /** In the order of the wishes. */
  readonly devices: readonly (readonly string[])[];
  readonly gpuBatchTokens: number;
}

type FreeBytes = Map<string, number>;

/** Where something did not fit. */
interface Shortage {
  readonly wish: Wish;
  readonly device: string;
  readonly free: number;
}

type Spread = 'everywhere' | 'oneEach';
type Attempt = readonly (readonly string[])[] | Shortage;

/** A hint is rounded down to this many tokens. */
const HINT_STEP = 256;

/**
 * 'auto': on every GPU where all such models fit together, so that rows can be balanced, with smaller batches if that makes
 * them fit; else each model where it fits alone, the largest first; without a GPU, the CPU.
 * batchTokens: what may be tried, the largest first. Throws ERR_DEVICE_UNKNOWN and ERR_DEVICE_MEMORY.
 */
export function placeModels(
  wishes: readonly Wish[],
  machine: readonly DeviceInfo[],
  batchTokens: readonly number[],
): Placement {
  for (const wish of wishes) refuseUnknown(wish, machine);
  const smallest = batchTokens.at(-1) ?? 0;
  for (const spread of ['everywhere', 'oneEach'] as const) {
    for (const tokens of batchTokens) {
      const devices = attempt(wishes, machine, { spread, tokens });
      if (!isShortage(devices)) return { devices, gpuBatchTokens: tokens };
    }
  }
  const shortage = attempt(wishes, machine, { spread: 'oneEach', tokens: smallest });
  if (!isShortage(shortage)) return { devices: shortage, gpuBatchTokens: smallest };
  throw tooLittle(shortage, smallest, largestThatFits(wishes, machine, smallest));
}

function attempt(
  wishes: readonly Wish[],
  machine: readonly DeviceInfo[],
  { spread, tokens }: { readonly spread: Spread; readonly tokens: number },
): Attempt {
  const free: FreeBytes = new Map(gpusOf(machine).map(({ device, freeBytes }) => [device, freeBytes]));
  const named = reserveNamed(wishes, free, tokens);
  if (named !== undefined) return named;
  const wanting = wishes.filter((wish) => wish.devices.includes('auto'));
  const automatic =
    free.size === 0
      ? new Map(wanting.map((wish) => [wish, ['cpu']]))
      : (spread === 'everywhere' ? everywhere : oneEach)(wanting, free, tokens);
  if (isShortage(automatic)) return automatic;
  return wishes.map((wish) => {
    const own = wish.devices.filter((device) => device !== 'auto');
    return [...new Set([...own, ...(automatic.get(wish) ?? [])])];
  });
}

function refuseUnknown(wish: Wish, machine: readonly DeviceInfo[]): void {
  const known = ['cpu', ...gpusOf(machine).map(({ device }) => device)];
  const unknown = wish.devices.find((device) => device !== 'auto' && !known.includes(device));
  if (unknown === undefined) return;
  const text = `Expected one of ${known.join(', ')} for the device of model ${wish.name} but received ${unknown}`;
  throw new PairscoreError('ERR_DEVICE_UNKNOWN', text);
}

function reserveNamed(wishes: readonly Wish[], free: FreeBytes, tokens: number): Shortage | undefined {
  for (const wish of wishes) {
    for (const device of new Set(wish.devices)) {
      const left = free.get(device);
      if (left === undefined) continue;
      if (left < wish.gpuBytes(tokens)) return { wish, device, free: left };
      free.set(device, left - wish.gpuBytes(tokens));
    }
  }
  return undefined;
}

/** All models on each GPU that holds them all; the other GPUs take what they can. */
function everywhere(wishes: readonly Wish[], free: FreeBytes, tokens: number): Map<Wish, string[]> | Shortage {
  const together = wishes.reduce((sum, wish) => sum + wish.gpuBytes(tokens), 0);
  const roomy = [...free].filter(([, left]) => left >= together).map(([device]) => device);
  if (roomy.length === 0) return shortageOf(wishes, free, tokens);
  const placed = new Map(wishes.map((wish) => [wish, [...roomy]]));
  fillUp(placed, free, { devices: [...free.keys()].filter((device) => !roomy.includes(device)), tokens });
  return placed;
}

/** Each model on the GPU with most room left, the largest first; GPUs that stay empty take second copies. */
function oneEach(wishes: readonly Wish[], free: FreeBytes, tokens: number): Map<Wish, string[]> | Shortage {
  const placed = new Map<Wish, string[]>();
  for (const wish of largestFirst(wishes, tokens)) {
    const [device, left] = mostFree(free);
    if (left < wish.gpuBytes(tokens)) return { wish, device, free: left };
    placed.set(wish, [device]);
    free.set(device, left - wish.gpuBytes(tokens));
  }
  const used = new Set([...placed.values()].flat());
  fillUp(placed, free, { devices: [...free.keys()].filter((device) => !used.has(device)), tokens });
  return placed;
}

function fillUp(
  placed: Map<Wish, string[]>,
  free: FreeBytes,
  { devices, tokens }: { readonly devices: readonly string[]; readonly tokens: number },
): void {
  for (const device of devices) {
    for (const wish of largestFirst([...placed.keys()], tokens)) {
      const left = free.get(device) ?? 0;
      if (left < wish.gpuBytes(tokens)) continue;
      placed.get(wish)?.push(device);
      free.set(device, left - wish.gpuBytes(tokens));
    }
  }
}

function largestFirst(wishes: readonly Wish[], tokens: number): readonly Wish[] {
  return [...wishes].sort((a, b) => b.gpuBytes(tokens) - a.gpuBytes(tokens));
}

function mostFree(free: FreeBytes): readonly [string, number] {
  return [...free].reduce((best, entry) => (entry[1] > best[1] ? entry : best));
}

function shortageOf(wishes: readonly Wish[], free: FreeBytes, tokens: number): Shortage | Map<Wish, string[]> {
  const [wish] = largestFirst(wishes, tokens);
  const [device, left] = mostFree(free);
  return wish === undefined ? new Map<Wish, string[]>() : { wish, device, free: left };
}

function isShortage(outcome: object): outcome is Shortage {
  return 'wish' in outcome;
}

function gpusOf(machine: readonly DeviceInfo[]): readonly DeviceInfo[] {
  return machine.filter(({ device }) => device !== 'cpu');
}

/** The largest batch size below `tokens` that would fit, or undefined where memory is too little for any. */
function largestThatFits(wishes: readonly Wish[], machine: readonly DeviceInfo[], tokens: number): number | undefined {
  const fits = (steps: number): boolean =>
    !isShortage(attempt(wishes, machine, { spread: 'oneEach', tokens: steps * HINT_STEP }));
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

function tooLittle({ wish, device, free }: Shortage, tokens: number, fits: number | undefined): PairscoreError {
  const gib = (bytes: number): string => `${(Math.max(0, bytes) / 2 ** 30).toFixed(1)} GiB`;
  const setting =
    fits === undefined
      ? 'no batch is small enough: choose a smaller --max-length, a smaller quantisation or --device cpu'
      : `--batch-tokens ${fits} would fit`;
  const text =
    `Expected ${gib(wish.gpuBytes(tokens))} of free memory for model ${wish.name} with batches of ${tokens} tokens ` +
    `but received ${gib(free)} on ${device}; ${setting}`;
  return new PairscoreError('ERR_DEVICE_MEMORY', text);
}
