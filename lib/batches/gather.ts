/** Calls made within one turn of the event loop, or while an earlier group is prepared, are handled as one group. */

export class Gather<T> {
  private waiting: T[] = [];
  /** Cleared in the same turn in which nothing is left, so that no item is missed in between. */
  private busy = false;
  private working: Promise<void> = Promise.resolve();

  /** handle must not reject: what goes wrong belongs to the items. */
  constructor(
    private readonly most: number,
    private readonly handle: (items: readonly T[]) => Promise<void>,
  ) {}

  add(item: T): void {
    this.waiting.push(item);
    if (this.busy) return;
    this.busy = true;
    this.working = this.drain();
  }

  /** Settles when everything added so far has been handled. */
  async idle(): Promise<void> {
    await this.working;
  }

  private async drain(): Promise<void> {
    await nextTurn();
    while (this.waiting.length > 0) {
      await this.handle(this.waiting.splice(0, this.most));
    }
    this.busy = false;
  }
}

/** Lets timers and input have their turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
