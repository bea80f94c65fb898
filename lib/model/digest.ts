/** sha256 of files, on a thread of its own: a base of several GB would hold the event loop for seconds. */

import { Worker } from 'node:worker_threads';
import { cancellable, throwIfAborted } from '../abort';
import type { Signal } from '../signal';

/** By path: a digest in hex, or why the file could not be read. */
export type Digests = ReadonlyMap<string, { readonly sha256: string } | { readonly failure: string }>;

/** Plain JavaScript in a string, since a worker's file would have another name in lib/ and in dist/. */
const HASH_FILES = `
const { createHash } = require('node:crypto');
const { createReadStream } = require('node:fs');
const { parentPort, workerData } = require('node:worker_threads');
async function digest(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return { path, sha256: hash.digest('hex') };
}
const attempts = workerData.map((path) => digest(path).catch((error) => ({ path, failure: error.message })));
Promise.all(attempts).then((results) => parentPort.postMessage(results));
`;

interface Answer {
  readonly path: string;
  readonly sha256?: string;
  readonly failure?: string;
}

/** The signal ends the thread in the middle of a file. */
export async function digestFiles(paths: readonly string[], signal?: Signal): Promise<Digests> {
  throwIfAborted(signal);
  // execArgv: loaders of the main thread (tsx) are of no use to plain JavaScript, and slow to start.
  const worker = new Worker(HASH_FILES, { eval: true, workerData: paths, execArgv: [] });
  const answers = await cancellable(
    signal,
    () => answerOf(worker),
    () => void worker.terminate(),
  );
  return new Map(
    answers.map(({ path, sha256, failure }) => [
      path,
      sha256 === undefined ? { failure: failure ?? 'no answer' } : { sha256 },
    ]),
  );
}

function answerOf(worker: Worker): Promise<readonly Answer[]> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('Expected digests but received the end of their thread')));
  });
}
