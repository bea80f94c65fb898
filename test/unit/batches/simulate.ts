/** Runs a Schedule against devices of known speed, in virtual time. */

import { RowGroups } from '../../../lib/batches/row-groups';
import { Schedule, type LaneSpec } from '../../../lib/batches/schedule';
import { Ticket } from '../../../lib/batches/ticket';

export interface Device {
  readonly models: readonly number[];
  /** Tokens a second at a time. */
  readonly speed: (seconds: number) => number;
}

export interface Outcome {
  /** When each device finished its last batch. */
  readonly finished: readonly number[];
  readonly batches: number;
  readonly scored: number;
}

export const LIMITS = { maxBatchTokens: 33_792, maxBatchSequences: 512, padding: 'none' } as const;

/** Right edges of sixteen equally full bins of the data's lengths. */
const EDGES = [133, 196, 263, 333, 406, 481, 551, 623, 703, 782, 878, 999, 1194, 1639, 2048];

/** Lengths as the data has them, in an order that repeats. */
export function lengthsLikeTheData(rows: number): readonly number[] {
  return Array.from({ length: rows }, (_, i) => {
    const bin = (i * 7) % EDGES.length;
    const from = EDGES[bin - 1] ?? 34;
    return from + ((i * 37) % ((EDGES[bin] ?? from) - from));
  });
}

export function rowsOf(lengths: readonly number[], ticket: Ticket): RowGroups {
  return RowGroups.of(lengths.map((length, slot) => ({ tokens: new Int32Array(length), ticket, slot })));
}

export function simulate(devices: readonly Device[], models: number, lengths: readonly number[]): Outcome {
  const lanes: readonly LaneSpec[] = devices.map((device, i) => ({
    device: `cuda:${i}`,
    seats: device.models.map((model) => ({ model, limits: LIMITS })),
  }));
  const schedule = new Schedule(lanes);
  const ticket = new Ticket(lengths.length * models);
  for (let model = 0; model < models; model += 1) schedule.add('bulk', model, rowsOf(lengths, ticket));
  const free = devices.map(() => 0);
  const finished = devices.map(() => 0);
  let batches = 0;
  let scored = 0;
  for (;;) {
    const lane = free.indexOf(Math.min(...free));
    const now = free[lane] ?? Infinity;
    if (now === Infinity) return { finished, batches, scored };
    const assignment = schedule.take(lane);
    if (assignment === undefined) {
      free[lane] = Infinity;
      continue;
    }
    const seconds = assignment.tokens / (devices[lane]?.speed(now) ?? 1);
    schedule.learn(lane, assignment, seconds);
    free[lane] = now + seconds;
    finished[lane] = now + seconds;
    batches += 1;
    scored += assignment.rows.length;
  }
}

/** How far apart devices finish, as a share of the whole time. */
export function spread(outcome: Outcome): number {
  return (Math.max(...outcome.finished) - Math.min(...outcome.finished)) / Math.max(...outcome.finished);
}
