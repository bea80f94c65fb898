/** Rows by length, on their way into a pool: collected a few at a time, handed over at once. */

import type { Ticket } from './ticket';

/** One sequence on its way through one model. */
export interface Row {
  readonly tokens: Int32Array;
  readonly ticket: Ticket;
  /** Where its logits belong in the ticket. */
  readonly slot: number;
}

export class RowGroups {
  /** Who waits for these rows: few, in a long run one. */
  readonly tickets = new Set<Ticket>();
  private readonly groups = new Map<number, Row[]>();
  private sum = 0;
  private most = 0;

  static of(rows: readonly Row[]): RowGroups {
    const groups = new RowGroups();
    for (const row of rows) groups.add(row);
    return groups;
  }

  add(row: Row): void {
    const { length } = row.tokens;
    const same = this.groups.get(length);
    if (same) same.push(row);
    else this.groups.set(length, [row]);
    this.tickets.add(row.ticket);
    this.sum += length;
    this.most = Math.max(this.most, length);
  }

  /** Rows of one length as they were added. */
  get byLength(): ReadonlyMap<number, readonly Row[]> {
    return this.groups;
  }

  get tokens(): number {
    return this.sum;
  }

  /** Tokens of the longest row. */
  get longest(): number {
    return this.most;
  }
}
