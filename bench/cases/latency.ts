/** Case latency: scorePair as a service would call it, alone and from many callers at once. */

import { openScorer, type Scorer } from '../../lib/scorer';
import type { Pair, PairRecord } from '../../lib/pair';
import { scorerOptions } from '../models';
import type { BenchOptions } from '../options';
import type { CaseReport, Cell } from '../report';
import { measureTokensPerWord, textRecords } from '../texts';

const CALLERS = [1, 8, 64] as const;
const WARM_UP_ROUNDS = 8;

export async function benchLatency(options: BenchOptions): Promise<CaseReport> {
  await using scorer = await openScorer(scorerOptions(options));
  const pairs = textRecords(options.rows, await measureTokensPerWord(scorer)).map(toPair);
  const rows: (readonly Cell[])[] = [];
  for (const count of CALLERS) {
    // Batches of new sizes have their algorithms chosen: a service meets that once.
    await callers(scorer, pairs.slice(0, WARM_UP_ROUNDS * count), count);
    const calls = pairs.slice(0, Math.max(count, count === 1 ? Math.ceil(pairs.length / 4) : pairs.length));
    const { milliseconds, wall } = await callers(scorer, calls, count);
    rows.push([
      count,
      calls.length,
      ...[0.5, 0.95, 0.99].map((share) => quantile(milliseconds, share)),
      (1000 * calls.length) / wall,
    ]);
  }
  const columns = ['callers', 'calls', 'p50 ms', 'p95 ms', 'p99 ms', 'calls/s'];
  return { tables: [{ title: 'latency of scorePair', columns, rows }], skipped: [], figures: [] };
}

/** Each caller waits for its answer before it asks again. */
async function callers(
  scorer: Scorer,
  pairs: readonly Pair[],
  count: number,
): Promise<{ milliseconds: readonly number[]; wall: number }> {
  const milliseconds: number[] = [];
  const queue = pairs.values();
  const started = performance.now();
  const call = async (): Promise<void> => {
    for (const pair of queue) {
      const from = performance.now();
      await scorer.scorePair(pair);
      milliseconds.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: count }, call));
  return { milliseconds, wall: performance.now() - started };
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

function toPair({ cells }: PairRecord): Pair {
  const turns = (cell: string): string[] => {
    const list: unknown = JSON.parse(cell);
    return Array.isArray(list) ? list.map(String) : [];
  };
  return { prompt: turns(cells.prompt), responseA: turns(cells.responseA), responseB: turns(cells.responseB) };
}
