/** One caller's sequences: collects their logits in the caller's order. The first error, or the signal, ends it. */

import { aborted, watchAbort } from '../abort';
import type { Signal } from '../signal';

/** Stands where an answer is missing, so that settling a long run takes no time. */
const NONE = new Float32Array(0);

export class Ticket {
  /** Logits by slot. Rejects with the first error; ERR_ABORTED where the signal fired. */
  readonly answers: Promise<readonly Float32Array[]>;
  private readonly slots: Float32Array[];
  private readonly onAnswer: (slot: number) => void;
  private missing: number;
  private open = true;
  private resolve: (answers: readonly Float32Array[]) => void = () => undefined;
  private reject: (error: unknown) => void = () => undefined;
  private release: () => void = () => undefined;

  constructor(count: number, signal?: Signal, onAnswer: (slot: number) => void = () => undefined) {
    this.slots = new Array<Float32Array>(count).fill(NONE);
    this.missing = count;
    this.onAnswer = onAnswer;
    this.answers = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    if (count === 0) this.settle();
    else if (signal) this.release = watchAbort(signal, () => this.fail(aborted(signal)));
  }

  /** False once nobody waits: rows of a closed ticket are dropped before they are scored. */
  get isOpen(): boolean {
    return this.open;
  }

  deliver(slot: number, logits: Float32Array): void {
    if (!this.open || this.slots[slot] !== NONE) return;
    this.slots[slot] = logits;
    this.missing -= 1;
    this.onAnswer(slot);
    if (this.missing === 0) this.settle();
  }

  fail(error: unknown): void {
    if (!this.open) return;
    this.shut();
    this.reject(error);
  }

  private settle(): void {
    this.shut();
    this.resolve(this.slots);
  }

  private shut(): void {
    this.open = false;
    this.release();
  }
}
