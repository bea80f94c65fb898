/** Long synchronous work in slices of a few milliseconds, so that the event loop goes on. */

import { throwIfAborted } from '../abort';
import type { Signal } from '../signal';
import { nextTurn } from './gather';

const SLICE_MS = 3;

/** Visits in order; between two slices the event loop has a turn, and the signal is looked at. */
export async function visitInSlices<T>(
  items: readonly T[],
  visit: (item: T, index: number) => void,
  signal?: Signal,
): Promise<void> {
  let started = performance.now();
  for (const [index, item] of items.entries()) {
    visit(item, index);
    if (performance.now() - started < SLICE_MS) continue;
    await nextTurn();
    throwIfAborted(signal);
    started = performance.now();
  }
}

export async function mapInSlices<T, R>(
  items: readonly T[],
  map: (item: T, index: number) => R,
  signal?: Signal,
): Promise<R[]> {
  const results: R[] = [];
  await visitInSlices(items, (item, index) => results.push(map(item, index)), signal);
  return results;
}
