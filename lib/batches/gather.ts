/** Calls made within one turn of the event loop, or while an earlier group is prepared, are handled as one group. */

export class Gather<T> {
  private waiting: T[] = [];
  private working: Promise<void> | undefined;

  /** handle must not reject: what goes wrong belongs to the items. */
  constructor(
    private readonly most: number,
    private readonly handle: (items: readonly T[]) => Promise<void>,
  ) {}

  add(item: T): void {
    this.waiting.push(item);
    this.working ??= this.drain().finally(() => {
      this.working = undefined;
    });
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
  }
}

/** Lets timers and input have their turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
