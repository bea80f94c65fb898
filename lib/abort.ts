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

function listen(signal: Signal): Set<() => void> {
  const watching = new Set<() => void>();
  watchers.set(signal, watching);
  signal.addEventListener('abort', () => watching.forEach((onAbort) => onAbort()), { once: true });
  return watching;
}
