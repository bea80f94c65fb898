/** tokenizer.json as a TextTokenizer, on a thread of its own. */

import { extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { cancellable, throwIfAborted } from '../abort';
import { PairscoreError } from '../errors';
import type { SpecialTokensInText } from '../model/spec';
import type { Signal } from '../signal';
import type { KnownEnd } from './certain';
import type { TokenizerFacts } from './facts';
import type { Described, HfReply, HfRequest, HfWorkerData } from './hf-messages';
import type { CertainIds, Merger } from './merger';
import type { TextTokenizer } from './text-tokenizer';

interface Waiter {
  readonly resolve: (reply: HfReply) => void;
  readonly reject: (error: unknown) => void;
}

/** Resolves once the folder's files are read. The tokenizer itself is built by the first call of encode. */
export async function openHfTokenizer(
  folder: string,
  specialTokens: SpecialTokensInText,
  signal?: Signal,
): Promise<HfTokenizer> {
  throwIfAborted(signal);
  const workerData: HfWorkerData = { folder, specialTokens };
  // In the language of this file: JavaScript in the package, TypeScript in the tests, whose loader threads do not inherit.
  const extension = extname(__filename);
  const execArgv = extension === '.ts' ? ['--require', 'tsx/cjs'] : [];
  const worker = new Worker(join(__dirname, `hf-worker${extension}`), { workerData, execArgv });
  const thread = new Thread(worker);
  try {
    const reply = await cancellable(
      signal,
      () => thread.first,
      () => void thread.close(),
    );
    if (reply.kind !== 'facts') throw unexpected(reply);
    return new HfTokenizer(thread, reply.facts);
  } catch (error) {
    await thread.close();
    throw error;
  }
}

export class HfTokenizer implements TextTokenizer, Merger {
  /** Use openHfTokenizer. */
  constructor(
    private readonly thread: Thread,
    readonly facts: TokenizerFacts,
  ) {}

  async encode(texts: readonly string[]): Promise<readonly Int32Array[]> {
    if (texts.length === 0) return [];
    const reply = await this.thread.call((id) => ({ id, kind: 'encode', texts }));
    if (reply.kind !== 'encoded') throw unexpected(reply);
    return reply.lists;
  }

  async merge(stretch: string): Promise<Int32Array> {
    const merged = await this.askMerged(stretch, 'all');
    return merged?.ids ?? new Int32Array(0);
  }

  certain(known: string, end: KnownEnd): Promise<CertainIds | null> {
    return this.askMerged(known, end);
  }

  /** Pieces of ids, for messages. */
  async describe(ids: readonly number[]): Promise<Described> {
    const reply = await this.thread.call((id) => ({ id, kind: 'describe', ids }));
    if (reply.kind !== 'described') throw unexpected(reply);
    return reply.tokens;
  }

  private async askMerged(stretch: string, known: KnownEnd | 'all'): Promise<CertainIds | null> {
    const reply = await this.thread.call((id) => ({ id, kind: 'merge', stretch, known }));
    if (reply.kind !== 'merged') throw unexpected(reply);
    return reply.certain;
  }

  /** Calls in flight are rejected. Idempotent. */
  close(): Promise<void> {
    return this.thread.close();
  }
}

/** One worker and the calls that wait for it. It keeps the process alive only while a call waits. */
class Thread {
  readonly first: Promise<HfReply>;
  private readonly waiters = new Map<number, Waiter>();
  private calls = 0;
  private closing: Promise<void> | undefined;
  /** Why the thread is no more: nothing would ever answer. */
  private failure: PairscoreError | undefined;

  constructor(private readonly worker: Worker) {
    this.first = this.expect(0);
    worker.on('message', (reply: HfReply) => this.settle(reply));
    worker.on('error', (cause) => this.failAll(stopped(cause)));
    worker.on('exit', (code) => this.failAll(this.closing ? tokenizerClosed() : stopped(`exit code ${code}`)));
  }

  call(toRequest: (id: number) => HfRequest): Promise<HfReply> {
    if (this.closing) return Promise.reject(tokenizerClosed());
    if (this.failure) return Promise.reject(this.failure);
    this.calls += 1;
    this.worker.postMessage(toRequest(this.calls));
    return this.expect(this.calls);
  }

  async close(): Promise<void> {
    this.closing ??= this.worker.terminate().then(() => undefined);
    return this.closing;
  }

  private expect(id: number): Promise<HfReply> {
    this.worker.ref();
    return new Promise((resolve, reject) => this.waiters.set(id, { resolve, reject }));
  }

  private settle(reply: HfReply): void {
    const waiter = this.waiters.get(reply.id);
    this.waiters.delete(reply.id);
    // A terminate() on its way needs the thread to keep the process alive.
    if (this.waiters.size === 0 && !this.closing) this.worker.unref();
    if (reply.kind !== 'failed') return waiter?.resolve(reply);
    const { code, message, file } = reply.failure;
    waiter?.reject(new PairscoreError(code, message, file === null ? {} : { file }));
  }

  private failAll(error: PairscoreError): void {
    this.failure ??= error;
    for (const waiter of this.waiters.values()) waiter.reject(this.failure);
    this.waiters.clear();
  }
}

export function tokenizerClosed(): PairscoreError {
  return new PairscoreError('ERR_CLOSED', 'Expected an open tokenizer but it is closed');
}

function stopped(cause: unknown): PairscoreError {
  return new PairscoreError(
    'ERR_INTERNAL',
    `Expected the tokenizer's thread to go on but it stopped: ${String(cause)}`,
    {
      cause,
    },
  );
}

function unexpected({ kind }: HfReply): PairscoreError {
  return new PairscoreError('ERR_INTERNAL', `Expected another answer of the tokenizer's thread but received ${kind}`);
}
