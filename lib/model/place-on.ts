/** Models of known size onto GPUs of known room, in one of two manners. Pure. */

import type { WeightStorage } from '../compute';
import type { DeviceInfo } from '../native/contract';
import type { Room, Wish } from './place';

/** A wish for batches of one size and weights kept in one way. */
export interface SizedWish {
  readonly wish: Wish;
  readonly weights: WeightStorage;
  readonly bytes: number;
}

/** Where something did not fit. */
export interface Shortage {
  readonly wish: Wish;
  readonly device: string;
  /** Both with what is to be spared. */
  readonly need: number;
  readonly free: number;
}

export type Spread = 'everywhere' | 'oneEach';

type FreeBytes = Map<string, number>;
type Automatic = Map<SizedWish, readonly string[]>;

/** The devices of each wish, or where one did not fit. */
export function placeOn(
  wishes: readonly SizedWish[],
  { machine, spareBytes }: Room,
  spread: Spread,
): readonly (readonly string[])[] | Shortage {
  const free: FreeBytes = new Map(gpusOf(machine).map(({ device, freeBytes }) => [device, freeBytes - spareBytes]));
  const spared = (shortage: Shortage): Shortage => {
    return { ...shortage, need: shortage.need + spareBytes, free: shortage.free + spareBytes };
  };
  const named = reserveNamed(wishes, free);
  if (named !== undefined) return spared(named);
  const wanting = wishes.filter(({ wish }) => wish.devices.includes('auto'));
  const automatic =
    free.size === 0
      ? new Map(wanting.map((wish) => [wish, ['cpu']]))
      : (spread === 'everywhere' ? everywhere : oneEach)(wanting, free);
  if (isShortage(automatic)) return spared(automatic);
  return wishes.map((sized) => {
    const own = sized.wish.devices.filter((device) => device !== 'auto');
    return [...new Set([...own, ...(automatic.get(sized) ?? [])])];
  });
}

export function isShortage(outcome: object): outcome is Shortage {
  return 'need' in outcome;
}

export function gpusOf(machine: readonly DeviceInfo[]): readonly DeviceInfo[] {
  return machine.filter(({ device }) => device !== 'cpu');
}

function shortage({ wish, bytes }: SizedWish, [device, free]: readonly [string, number]): Shortage {
  return { wish, device, need: bytes, free };
}

function reserveNamed(wishes: readonly SizedWish[], free: FreeBytes): Shortage | undefined {
  for (const sized of wishes) {
    for (const device of new Set(sized.wish.devices)) {
      const left = free.get(device);
      if (left === undefined) continue;
      if (left < sized.bytes) return shortage(sized, [device, left]);
      free.set(device, left - sized.bytes);
    }
  }
  return undefined;
}

/** All models on each GPU that holds them all; the other GPUs take what they can. */
function everywhere(wishes: readonly SizedWish[], free: FreeBytes): Automatic | Shortage {
  const together = wishes.reduce((sum, { bytes }) => sum + bytes, 0);
  const roomy = [...free].filter(([, left]) => left >= together).map(([device]) => device);
  const [largest] = largestFirst(wishes);
  if (largest === undefined) return new Map();
  if (roomy.length === 0) return shortage(largest, mostFree(free));
  const placed = new Map(wishes.map((wish) => [wish, [...roomy]]));
  const others = [...free.keys()].filter((device) => !roomy.includes(device));
  fillUp(placed, free, others);
  return placed;
}

/** Each model on the GPU with most room left, the largest first; GPUs that stay empty take second copies. */
function oneEach(wishes: readonly SizedWish[], free: FreeBytes): Automatic | Shortage {
  const placed = new Map<SizedWish, string[]>();
  for (const sized of largestFirst(wishes)) {
    const [device, left] = mostFree(free);
    if (left < sized.bytes) return shortage(sized, [device, left]);
    placed.set(sized, [device]);
    free.set(device, left - sized.bytes);
  }
  const used = new Set([...placed.values()].flat());
  const unused = [...free.keys()].filter((device) => !used.has(device));
  fillUp(placed, free, unused);
  return placed;
}

function fillUp(placed: Map<SizedWish, string[]>, free: FreeBytes, devices: readonly string[]): void {
  for (const device of devices) {
    for (const sized of largestFirst([...placed.keys()])) {
      const left = free.get(device) ?? 0;
      if (left < sized.bytes) continue;
      placed.get(sized)?.push(device);
      free.set(device, left - sized.bytes);
    }
  }
}

function largestFirst(wishes: readonly SizedWish[]): readonly SizedWish[] {
  return [...wishes].sort((a, b) => b.bytes - a.bytes);
}

function mostFree(free: FreeBytes): readonly [string, number] {
  return [...free].reduce((best, entry) => (entry[1] > best[1] ? entry : best));
}
