/** Keeps every device busy: each takes the next batch when it is free, and answers go to whoever waits for them. */

import { PairscoreError } from '../errors';
import type { NativeEngine } from '../native/contract';
import { packBatch, unpackLogits } from './pack';
import { refuseTooLong } from './plan';
import type { RowGroups } from './row-groups';
import { Schedule, type Assignment, type Seat, type Urgency } from './schedule';

/** What a lane needs of an engine. */
export type ScoringEngine = Pick<NativeEngine, 'score'>;

export interface EngineSeat extends Seat {
  readonly engine: ScoringEngine;
}

export interface Lane {
  readonly device: string;
  readonly seats: readonly EngineSeat[];
}

export interface LaneWork {
  readonly device: string;
  /** Padding not counted. */
  readonly tokens: number;
  readonly busySeconds: number;
}

interface LaneState {
  tokens: number;
  busySeconds: number;
  /** Cleared in the same turn in which the lane finds nothing to do, so that no submit is missed in between. */
  busy: boolean;
  /** Settles when the lane has nothing left to do. */
  working: Promise<void>;
}

export class Dispatcher {
  private readonly schedule: Schedule;
  private readonly states: readonly LaneState[];
  private closed = false;

  constructor(private readonly lanes: readonly Lane[]) {
    this.schedule = new Schedule(lanes);
    this.states = lanes.map(() => ({ tokens: 0, busySeconds: 0, busy: false, working: Promise.resolve() }));
  }

  /** Rows of a closed ticket are dropped. Throws ERR_CONFIG for a row that no batch can hold. */
  submit(urgency: Urgency, model: number, rows: RowGroups): void {
    if (this.closed) throw closedError();
    const limits = this.lanes.flatMap((lane) => lane.seats.filter((seat) => seat.model === model));
    for (const seat of limits) refuseTooLong(rows.longest, seat.limits);
    this.schedule.add(urgency, model, rows);
    this.lanes.forEach((_, lane) => this.wake(lane));
  }

  /** Work done so far, by device; lanes that share a device count as one, busy for the mean of their times. */
  work(): readonly LaneWork[] {
    const devices = [...new Set(this.lanes.map(({ device }) => device))];
    return devices.map((device) => {
      const states = this.states.filter((_, lane) => this.lanes[lane]?.device === device);
      return {
        device,
        tokens: states.reduce((sum, state) => sum + state.tokens, 0),
        busySeconds: states.reduce((sum, state) => sum + state.busySeconds, 0) / states.length,
      };
    });
  }

  /** Fails what waits with ERR_CLOSED, and waits for the batches in flight. */
  async close(): Promise<void> {
    this.closed = true;
    for (const ticket of this.schedule.clear()) ticket.fail(closedError());
    await Promise.all(this.states.map((state) => state.working));
  }

  private wake(lane: number): void {
    const state = this.states[lane];
    if (state === undefined || state.busy) return;
    state.busy = true;
    state.working = this.drain(lane, state);
  }

  private async drain(lane: number, state: LaneState): Promise<void> {
    for (;;) {
      const assignment = this.schedule.take(lane);
      if (assignment === undefined) break;
      await this.score(lane, assignment);
    }
    state.busy = false;
  }

  /** Never rejects: an error belongs to the tickets of its batch. */
  private async score(lane: number, assignment: Assignment): Promise<void> {
    const { rows, seat } = assignment;
    const engine = this.lanes[lane]?.seats.find(({ model }) => model === seat.model)?.engine;
    const started = performance.now();
    try {
      if (engine === undefined)
        throw new PairscoreError('ERR_INTERNAL', `Expected model ${seat.model} on lane ${lane}`);
      const { tokens, offsets } = packBatch(rows.map((row) => row.tokens));
      const logits = unpackLogits(await engine.score(tokens, offsets), rows.length);
      this.account(lane, assignment, (performance.now() - started) / 1000);
      rows.forEach((row, i) => row.ticket.deliver(row.slot, logits[i] ?? new Float32Array(0)));
    } catch (error) {
      for (const row of rows) row.ticket.fail(error);
    }
  }

  private account(lane: number, assignment: Assignment, seconds: number): void {
    this.schedule.learn(lane, assignment, seconds);
    const state = this.states[lane];
    if (state === undefined) return;
    state.tokens += assignment.tokens;
    state.busySeconds += seconds;
  }
}

export function closedError(): PairscoreError {
  return new PairscoreError('ERR_CLOSED', 'Expected an open scorer but received one that is closed');
}
