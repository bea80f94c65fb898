/** Works on several items of a source at once, and yields the results in the source's order. */

import { aborted, watchAbort } from '../abort';
import type { Signal } from '../signal';

export interface LookAhead {
  /** Most items in work, the one to be yielded next included. */
  readonly most: number;
  readonly signal: Signal;
}

/**
 * The first error in the source's order ends it, and so does the signal. However it ends, the source is told (`return`).
 * Work that was begun and is no longer wanted is for the caller to abort.
 */
export async function* mapAhead<T, R>(
  source: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<R>,
  ahead: LookAhead,
): AsyncGenerator<R, void, undefined> {
  const iterator = open(source);
  const stop = abortion(ahead.signal);
  const begun: Promise<R>[] = [];
  let pulling: Promise<IteratorResult<T>> | undefined;
  let drained = false;
  try {
    for (;;) {
      if (!drained && begun.length < ahead.most) pulling ??= quietly(pull(iterator));
      const head = begun[0];
      if (pulling === undefined && head === undefined) return;
      const next = await Promise.race([
        ...(pulling ? [pulling] : []),
        ...(head ? [head.then((): typeof HEAD => HEAD)] : []),
        stop.promise,
      ]);
      if (next === HEAD) {
        void begun.shift();
        if (head) yield await head;
        continue;
      }
      pulling = undefined;
      if (next.done) drained = true;
      else begun.push(quietly(work(next.value)));
    }
  } finally {
    stop.release();
    const closing = drained ? undefined : iterator.return?.();
    // A generator that is still in its next() answers return() only after that: do not wait for a source that hangs.
    if (pulling === undefined) await closing;
    else if (closing instanceof Promise) void quietly(closing);
  }
}

const HEAD = Symbol('the result to be yielded next is ready');

function open<T>(source: Iterable<T> | AsyncIterable<T>): Iterator<T> | AsyncIterator<T> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
}

async function pull<T>(iterator: Iterator<T> | AsyncIterator<T>): Promise<IteratorResult<T>> {
  return iterator.next();
}

/** A promise that rejects when the signal fires. */
function abortion(signal: Signal): { promise: Promise<never>; release: () => void } {
  let release = (): void => undefined;
  const promise = new Promise<never>((_, reject) => {
    release = watchAbort(signal, () => reject(aborted(signal)));
  });
  return { promise: quietly(promise), release };
}

/** Keeps a rejection that nobody awaits from ending the process. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  void promise.catch(() => undefined);
  return promise;
}
