/** Lets the event loop go on while a long loop runs. */

const SLICE_MS = 3;

export class Pace {
  private started = performance.now();

  /** Whether it is time to wait for `turn`. */
  get isOver(): boolean {
    return performance.now() - this.started >= SLICE_MS;
  }

  async turn(): Promise<void> {
    await new Promise(setImmediate);
    this.started = performance.now();
  }
}
