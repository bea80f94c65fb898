/**
 * Sequences that wait for one model. They are taken generation by generation: all that wait are sorted, the longest
 * first, and what arrives meanwhile makes the next generation. So a short row never starves behind a stream of long ones.
 */

import { batchSize, type BatchLimits } from './plan';
import type { Ticket } from './ticket';

/** One sequence on its way through one model. */
export interface Row {
  readonly tokens: Int32Array;
  readonly ticket: Ticket;
  /** Where its logits belong in the ticket. */
  readonly slot: number;
}

export class Pool {
  private arrived: Row[] = [];
  private generation: readonly Row[] = [];
  private lengths: readonly number[] = [];
  private next = 0;
  private waiting = 0;

  /** Tokens that wait, those of closed tickets included until they are met. */
  get tokens(): number {
    return this.waiting;
  }

  add(rows: readonly Row[]): void {
    for (const row of rows) {
      this.arrived.push(row);
      this.waiting += row.tokens.length;
    }
  }

  /** The next batch; empty where nothing waits. */
  take(limits: BatchLimits): readonly Row[] {
    this.dropClosed();
    if (this.next === this.generation.length) return [];
    const size = batchSize(this.lengths, this.next, limits);
    const batch = this.generation.slice(this.next, this.next + size);
    this.next += size;
    this.waiting -= tokensOf(batch);
    return batch.filter((row) => row.ticket.isOpen);
  }

  /** Takes everything out: for a caller that gives up. */
  clear(): readonly Row[] {
    const rows = [...this.generation.slice(this.next), ...this.arrived];
    this.arrived = [];
    this.generation = [];
    this.lengths = [];
    this.next = 0;
    this.waiting = 0;
    return rows;
  }

  /** Moves to the first row that somebody waits for, and to the next generation where this one is through. */
  private dropClosed(): void {
    for (;;) {
      while (this.next < this.generation.length && !this.generation[this.next]?.ticket.isOpen) {
        this.waiting -= this.lengths[this.next] ?? 0;
        this.next += 1;
      }
      if (this.next < this.generation.length) return;
      this.generation = this.arrived.sort((a, b) => b.tokens.length - a.tokens.length);
      this.lengths = this.generation.map((row) => row.tokens.length);
      this.arrived = [];
      this.next = 0;
      if (this.generation.length === 0) return;
    }
  }
}

export function tokensOf(rows: readonly Row[]): number {
  return rows.reduce((sum, row) => sum + row.tokens.length, 0);
}
