/** What pairscore does with a signal. */

import { PairscoreError } from './errors';
import type { Signal } from './signal';

const watchers = new WeakMap<Signal, Set<() => void>>();

/**
 * Calls back when the signal fires, now where it has fired. Returns what ends the watch. Many calls may share a signal:
 * they share one listener, since Node warns of a leak from the eleventh listener on.
 */
export function watchAbort(signal: Signal, onAbort: () => void): () => void {
  if (signal.aborted) {
    onAbort();
    return () => undefined;
  }
  const watching = watchers.get(signal) ?? listen(signal);
  watching.add(onAbort);
  return () => watching.delete(onAbort);
}

/** The signal's reason becomes the cause. */
export function aborted(signal: Signal): PairscoreError {
  return new PairscoreError('ERR_ABORTED', 'The operation was aborted', { cause: signal.reason });
}

export function throwIfAborted(signal: Signal | undefined): void {
  if (signal?.aborted) throw aborted(signal);
}

/** A controller that the signal, if there is one, aborts. */
export function linkedController(signal: Signal | undefined): { stop: AbortController; release: () => void } {
  const stop = new AbortController();
  const release = signal ? watchAbort(signal, () => stop.abort(signal.reason)) : (): void => undefined;
  return { stop, release };
}

/** Work that `cancel` ends early once the signal fires: what it then rejects with is ERR_ABORTED. */
export async function cancellable<T>(
  signal: Signal | undefined,
  work: () => Promise<T>,
  cancel: () => void,
): Promise<T> {
  throwIfAborted(signal);
  const release = signal ? watchAbort(signal, cancel) : (): void => undefined;
  try {
    return await work();
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  } finally {
    release();
  }
}

/** What others work on, for as long as this signal has not fired. */
export async function orAborted<T>(work: Promise<T>, signal: Signal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let release = (): void => undefined;
  const abortion = new Promise<never>((_, reject) => {
    release = watchAbort(signal, () => reject(aborted(signal)));
  });
  try {
    return await Promise.race([work, abortion]);
  } finally {
    release();
  }
}

function listen(signal: Signal): Set<() => void> {
  const watching = new Set<() => void>();
  watchers.set(signal, watching);
  signal.addEventListener('abort', () => watching.forEach((onAbort) => onAbort()), { once: true });
  return watching;
}
