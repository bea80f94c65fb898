/** Which devices each model runs on. */

import { PairscoreError } from '../errors';
import type { DeviceInfo } from '../native/contract';

/** What one model asks for. */
export interface Wish {
  readonly name: string;
  /** 'cpu', 'cuda:N' or 'auto', as written. */
  readonly devices: readonly string[];
  /** Memory that it needs on a GPU: weights and scratch. */
  readonly bytes: number;
}

type FreeBytes = Map<string, number>;

/**
 * Devices of each model, in the order of the wishes. 'auto': on every GPU where all such models fit together, so that rows
 * can be balanced; else each model on the GPUs where it fits alone, the largest first; without a GPU, the CPU.
 * Throws ERR_DEVICE_UNKNOWN and ERR_DEVICE_MEMORY.
 */
export function placeModels(wishes: readonly Wish[], devices: readonly DeviceInfo[]): readonly (readonly string[])[] {
  const free: FreeBytes = new Map(
    devices.filter(({ device }) => device !== 'cpu').map(({ device, freeBytes }) => [device, freeBytes]),
  );
  for (const wish of wishes) reserveNamed(wish, free);
  const wanting = wishes.filter(isAuto);
  const automatic = free.size === 0 ? onCpu(wanting) : onGpus(wanting, free);
  return wishes.map((wish) => {
    const named = wish.devices.filter((device) => device !== 'auto');
    return [...new Set([...named, ...(automatic.get(wish) ?? [])])];
  });
}

function isAuto(wish: Wish): boolean {
  return wish.devices.includes('auto');
}

function reserveNamed(wish: Wish, free: FreeBytes): void {
  for (const device of new Set(wish.devices)) {
    if (device === 'auto' || device === 'cpu') continue;
    const left = free.get(device);
    if (left === undefined) {
      const known = ['cpu', ...free.keys()].join(', ');
      const text = `Expected one of ${known} for the device of model ${wish.name} but received ${device}`;
      throw new PairscoreError('ERR_DEVICE_UNKNOWN', text);
    }
    free.set(device, left - wish.bytes);
  }
}

function onCpu(wishes: readonly Wish[]): ReadonlyMap<Wish, readonly string[]> {
  return new Map(wishes.map((wish) => [wish, ['cpu']]));
}

function onGpus(wishes: readonly Wish[], free: FreeBytes): ReadonlyMap<Wish, readonly string[]> {
  const together = wishes.reduce((sum, { bytes }) => sum + bytes, 0);
  const roomy = [...free].filter(([, left]) => left >= together).map(([device]) => device);
  if (roomy.length === free.size) return new Map(wishes.map((wish) => [wish, roomy]));
  return oneEach(wishes, free);
}

/** A GPU for every model first, then GPUs that are left take a second copy of whatever fits. */
function oneEach(wishes: readonly Wish[], free: FreeBytes): ReadonlyMap<Wish, readonly string[]> {
  const placed = new Map<Wish, string[]>();
  const largestFirst = [...wishes].sort((a, b) => b.bytes - a.bytes);
  const used = new Set<string>();
  for (const wish of largestFirst) {
    const [device, left] = mostFree(free);
    if (left < wish.bytes) throw tooLittle(wish, device, left);
    placed.set(wish, [device]);
    used.add(device);
    free.set(device, left - wish.bytes);
  }
  for (const device of [...free.keys()].filter((name) => !used.has(name))) {
    for (const wish of largestFirst) {
      const left = free.get(device) ?? 0;
      if (left < wish.bytes) continue;
      placed.get(wish)?.push(device);
      free.set(device, left - wish.bytes);
    }
  }
  return placed;
}

function mostFree(free: FreeBytes): readonly [string, number] {
  return [...free].reduce((best, entry) => (entry[1] > best[1] ? entry : best));
}

function tooLittle(wish: Wish, device: string, left: number): PairscoreError {
  const gib = (bytes: number): string => `${(Math.max(0, bytes) / 2 ** 30).toFixed(1)} GiB`;
  const text =
    `Expected ${gib(wish.bytes)} of free memory for model ${wish.name} but received ${gib(left)} on ${device}; ` +
    'a smaller batchTokens needs less, and the device cpu none';
  return new PairscoreError('ERR_DEVICE_MEMORY', text);
}
