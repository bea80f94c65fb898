/**
 * Which device takes which batch next. No clock and no promises in here: a lane asks when it is free, and says
 * afterwards how long the batch took. A lane is a device that works on one batch at a time, for any of its models.
 */

import type { BatchLimits } from './plan';
import { Pool, tokensOf } from './pool';
import type { Row, RowGroups } from './row-groups';
import type { Ticket } from './ticket';

export interface Seat {
  readonly model: number;
  readonly limits: BatchLimits;
}

export interface LaneSpec {
  readonly device: string;
  /** The models that are loaded on the device. */
  readonly seats: readonly Seat[];
}

export interface Assignment {
  readonly seat: Seat;
  readonly rows: readonly Row[];
  /** Padding not counted. */
  readonly tokens: number;
}

/** Single calls come before long runs, but not twice in a row. */
export type Urgency = 'live' | 'bulk';

interface Queue {
  readonly live: Pool;
  readonly bulk: Pool;
  lastWasLive: boolean;
}

/** A lane takes at most this share of what it would do until the end, so that all lanes reach the end together. */
const SHARE_OF_REST = 1 / 3;

/** Share of the largest batch below which splitting the rest costs more than it balances. */
const LEAST_SHARE_OF_BATCH = 1 / 16;

export class Schedule {
  private readonly queues: readonly Queue[];
  /** Tokens a second by lane and model, as measured. */
  private readonly speeds: readonly Map<number, number>[];

  constructor(private readonly lanes: readonly LaneSpec[]) {
    const models = lanes.flatMap((lane) => lane.seats.map((seat) => seat.model));
    this.queues = Array.from({ length: Math.max(-1, ...models) + 1 }, () => ({
      live: new Pool(),
      bulk: new Pool(),
      lastWasLive: false,
    }));
    this.speeds = lanes.map(() => new Map<number, number>());
  }

  add(urgency: Urgency, model: number, rows: RowGroups): void {
    this.queues[model]?.[urgency].add(rows);
  }

  /** The batch that this lane should score next, or undefined where nothing waits for its models. */
  take(lane: number): Assignment | undefined {
    for (;;) {
      const seat = this.mostPressing(lane);
      if (seat === undefined) return undefined;
      const rows = this.takeRows(seat, this.allowance(lane, seat));
      // Empty: everything that seemed to wait was aborted. Look again, at what else waits.
      if (rows.length > 0) return { seat, rows, tokens: tokensOf(rows) };
    }
  }

  /** Remembers how fast a lane was. Recent batches count more: a device may heat up, or be shared. */
  learn(lane: number, assignment: Assignment, seconds: number): void {
    if (seconds <= 0) return;
    const speeds = this.speeds[lane];
    const measured = assignment.tokens / seconds;
    const before = speeds?.get(assignment.seat.model) ?? measured;
    speeds?.set(assignment.seat.model, (before + measured) / 2);
  }

  /** Drops everything that waits, and says for whom: for a close. */
  clear(): readonly Ticket[] {
    return this.queues.flatMap((queue) => [...queue.live.clear(), ...queue.bulk.clear()]);
  }

  /** The model whose rows would take longest to finish, all its lanes together. */
  private mostPressing(lane: number): Seat | undefined {
    let best: Seat | undefined;
    let most = 0;
    for (const seat of this.lanes[lane]?.seats ?? []) {
      const seconds = this.secondsLeft(seat.model);
      if (seconds <= most) continue;
      best = seat;
      most = seconds;
    }
    return best;
  }

  private takeRows(seat: Seat, limits: BatchLimits): readonly Row[] {
    const queue = this.queues[seat.model];
    if (queue === undefined) return [];
    const liveFirst = !(queue.lastWasLive && queue.bulk.tokens > 0);
    const first = liveFirst ? queue.live.take(limits) : [];
    const rows = first.length > 0 ? first : queue.bulk.take(limits);
    queue.lastWasLive = first.length > 0;
    return rows;
  }

  /** The seat's limits, tightened towards the end of the work where other lanes share it. */
  private allowance(lane: number, seat: Seat): BatchLimits {
    const { limits } = seat;
    if (this.lanesOf(seat.model).length < 2) return limits;
    const rest = (this.lanes[lane]?.seats ?? []).reduce((sum, { model }) => sum + this.secondsLeft(model), 0);
    const share = Math.ceil(this.speed(lane, seat.model) * rest * SHARE_OF_REST);
    const least = Math.ceil(limits.maxBatchTokens * LEAST_SHARE_OF_BATCH);
    return { ...limits, maxBatchTokens: Math.min(limits.maxBatchTokens, Math.max(least, share)) };
  }

  private secondsLeft(model: number): number {
    const queue = this.queues[model];
    const tokens = (queue?.live.tokens ?? 0) + (queue?.bulk.tokens ?? 0);
    if (tokens === 0) return 0;
    return tokens / this.lanesOf(model).reduce((sum, lane) => sum + this.speed(lane, model), 0);
  }

  private lanesOf(model: number): readonly number[] {
    const serves = (lane: LaneSpec): boolean => lane.seats.some((seat) => seat.model === model);
    return this.lanes.flatMap((lane, index) => (serves(lane) ? [index] : []));
  }

  /** Measured; else what other lanes do with the model; else what lanes do with any model; else 1. */
  private speed(lane: number, model: number): number {
    const own = this.speeds[lane]?.get(model);
    if (own !== undefined) return own;
    const ofModel = this.speeds.flatMap((speeds) => speeds.get(model) ?? []);
    if (ofModel.length > 0) return mean(ofModel);
    const ofAny = this.speeds.flatMap((speeds) => [...speeds.values()]);
    return ofAny.length > 0 ? mean(ofAny) : 1;
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
