/** How far a run over many rows is: counts, and tells at most ten times a second. */

import type { LaneWork } from './batches/dispatch';
import type { DeviceProgress, Progress } from './outcome';

const TELL_EVERY_MS = 100;

export interface TrackerOptions {
  readonly rows: number;
  readonly sequencesPerRow: number;
  readonly onProgress: (progress: Progress) => void;
  /** Work of each device since the scorer was opened. */
  readonly work: () => readonly LaneWork[];
}

export class Tracker {
  private readonly started = performance.now();
  private readonly before: readonly LaneWork[];
  private readonly tokenized = new Map<number, number>();
  private readonly lengths: Uint32Array;
  private readonly left: Uint16Array;
  private stage: Progress['stage'] = 'parsing';
  private rowsDone = 0;
  private tokensDone = 0;
  private tokensTotal = 0;
  private told = -Infinity;

  constructor(private readonly options: TrackerOptions) {
    this.before = options.work();
    this.lengths = new Uint32Array(options.rows * options.sequencesPerRow);
    this.left = new Uint16Array(options.rows).fill(options.sequencesPerRow);
  }

  /** A model has tokenized so many rows. */
  onTokenized(model: number, rows: number, models: number): void {
    this.tokenized.set(model, rows);
    if (this.stage === 'scoring') return;
    this.stage = 'tokenizing';
    const counts = [...this.tokenized.values()];
    this.rowsDone = counts.length < models ? 0 : Math.min(...counts);
    this.tell();
  }

  /** Slots are numbered row by row. */
  onLength(slot: number, tokens: number): void {
    this.lengths[slot] = tokens;
    this.tokensTotal += tokens;
  }

  onAnswer(slot: number): void {
    if (this.stage !== 'scoring') this.rowsDone = 0;
    this.stage = 'scoring';
    const row = Math.floor(slot / this.options.sequencesPerRow);
    const left = (this.left[row] ?? 1) - 1;
    this.left[row] = left;
    if (left === 0) this.rowsDone += 1;
    this.tokensDone += this.lengths[slot] ?? 0;
    this.tell();
  }

  /** The last word: told whatever the clock says. */
  finish(): void {
    this.stage = 'scoring';
    this.told = -Infinity;
    this.tell();
  }

  get seconds(): number {
    return (performance.now() - this.started) / 1000;
  }

  get tokens(): number {
    return this.tokensDone;
  }

  devices(): readonly DeviceProgress[] {
    return this.options.work().map((work, i) => ({
      device: work.device,
      tokens: work.tokens - (this.before[i]?.tokens ?? 0),
      busySeconds: work.busySeconds - (this.before[i]?.busySeconds ?? 0),
    }));
  }

  private tell(): void {
    const now = performance.now();
    if (now - this.told < TELL_EVERY_MS) return;
    this.told = now;
    this.options.onProgress({
      stage: this.stage,
      rowsDone: this.rowsDone,
      rowsTotal: this.options.rows,
      tokensDone: this.tokensDone,
      tokensTotal: this.tokensTotal,
      seconds: this.seconds,
      devices: this.devices(),
    });
  }
}
