/**
 * Sequences that wait for one model. They are taken generation by generation: all that wait are put in order, and what
 * arrives meanwhile makes the next generation. So a short row never starves behind a stream of long ones; and a long one that
 * a batch has no room for is the first of the next.
 */

import { inOrder } from './order';
import { takeBatch, type BatchLimits } from './plan';
import type { Row, RowGroups } from './row-groups';
import type { Ticket } from './ticket';

/** Up to so many, it is quick to ask them all whether anybody still waits. */
const FEW_TICKETS = 16;

export class Pool {
  /** By length, group after group: however many rows a group has, adding and ordering it never looks at them. */
  private arrived = new Map<number, (readonly Row[])[]>();
  private arrivedTickets = new Set<Ticket>();
  private arrivedTokens = 0;
  /** What is left of this generation, in order; rows of one length as they came. */
  private generation: Iterator<Row, unknown> = new Array<Row>().values();
  private generationTickets = new Set<Ticket>();
  /** Its next rows, already taken out; the first are those that a batch had no room for. */
  private head: readonly Row[] = [];
  private waiting = 0;

  /** Tokens that wait, those of closed tickets included until they are met. */
  get tokens(): number {
    return this.waiting;
  }

  add(rows: RowGroups): void {
    for (const [length, group] of rows.byLength) {
      const same = this.arrived.get(length);
      if (same) same.push(group);
      else this.arrived.set(length, [group]);
    }
    for (const ticket of rows.tickets) this.arrivedTickets.add(ticket);
    this.arrivedTokens += rows.tokens;
    this.waiting += rows.tokens;
  }

  /** The next batch; empty where nothing waits. */
  take(limits: BatchLimits): readonly Row[] {
    this.fillHead(limits.maxBatchSequences);
    if (this.head.length === 0 && this.arrived.size > 0) {
      this.generation = inOrder(this.arrived, limits);
      this.generationTickets = this.arrivedTickets;
      this.forgetArrived();
      this.fillHead(limits.maxBatchSequences);
    }
    if (this.head.length === 0) return [];
    const { batch, rest } = takeBatch(this.head, (row) => row.tokens.length, limits);
    this.head = rest;
    this.waiting -= tokensOf(batch);
    return batch;
  }

  /** Drops everything, and says who may have waited: for a caller that gives up. */
  clear(): readonly Ticket[] {
    const tickets = [...this.generationTickets, ...this.arrivedTickets, ...this.head.map(({ ticket }) => ticket)];
    this.forgetGeneration();
    this.forgetArrived();
    this.waiting = 0;
    return tickets;
  }

  /** Rows that somebody waits for, up to so many, out of this generation; the others are dropped on the way. */
  private fillHead(most: number): void {
    if (this.isAbandoned()) {
      this.forgetGeneration();
      this.waiting = this.arrivedTokens;
    }
    const open: Row[] = [];
    const keep = (row: Row): void => {
      if (row.ticket.isOpen) open.push(row);
      else this.waiting -= row.tokens.length;
    };
    this.head.forEach(keep);
    while (open.length < most) {
      const next = this.generation.next();
      if (next.done) {
        this.generationTickets = new Set();
        break;
      }
      keep(next.value);
    }
    this.head = open;
  }

  /** Nobody waits for this generation: then it goes at once, since a look at each row of a long run takes too long. */
  private isAbandoned(): boolean {
    const { size } = this.generationTickets;
    return size > 0 && size <= FEW_TICKETS && ![...this.generationTickets].some((ticket) => ticket.isOpen);
  }

  private forgetGeneration(): void {
    this.generation = new Array<Row>().values();
    this.generationTickets = new Set();
    this.head = [];
  }

  private forgetArrived(): void {
    this.arrived = new Map();
    this.arrivedTickets = new Set();
    this.arrivedTokens = 0;
  }
}

export function tokensOf(rows: readonly Row[]): number {
  return rows.reduce((sum, row) => sum + row.tokens.length, 0);
}
