/** Case models: one model on one device, warm, by batch budget. */

import { packBatch } from '../../lib/batches/pack';
import { planBatches, type Batch } from '../../lib/batches/plan';
import { readBaseFacts, flopsPerToken } from '../../lib/model/base-facts';
import { engineLimits } from '../../lib/model/limits';
import type { Compute } from '../../lib/compute';
import type { NativeEngine } from '../../lib/native/contract';
import type { PlacedModel } from '../../lib/model/place-ensemble';
import { ceilingFor, type Ceiling } from '../ceiling';
import { randomRows, rowLengths, sumOf } from '../lengths';
import { budgetsOf, openBenchEngine } from '../models';
import type { BenchOptions } from '../options';
import { percent, type CaseReport, type Cell } from '../report';

export interface ModelsJob {
  readonly placed: PlacedModel;
  readonly device: string;
  readonly options: BenchOptions;
  readonly ceilings: readonly Ceiling[];
}

interface Measured {
  readonly seconds: number;
  readonly tokens: number;
  readonly paddedTokens: number;
}

const COLUMNS = [
  ...['model', 'device', 'batch tokens', 'tokens/s', 'computes in', 'rows/s', 'padding', 'TFLOP/s'],
  ...['of the ceiling, 16-bit or fp8', 'load s'],
];

export async function benchModel(job: ModelsJob): Promise<CaseReport> {
  const { placed, device, options } = job;
  const rows: (readonly Cell[])[] = [];
  const skipped: string[] = [];
  const settings = (device === 'cpu' ? (['auto'] as const) : options.computes).flatMap((compute) =>
    budgetsOf(placed, device, options.batchTokens).map((budget) => ({ compute, budget })),
  );
  for (const setting of settings) {
    try {
      rows.push(await measureSetting(job, setting));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const what = `${placed.spec.name} on ${device} with batches of ${setting.budget} tokens, compute ${setting.compute}`;
      skipped.push(`models: ${what}: ${reason}`);
    }
  }
  return { tables: [{ title: 'models: one model on one device', columns: COLUMNS, rows }], skipped };
}

interface Setting {
  readonly compute: Compute;
  readonly budget: number;
}

async function measureSetting(job: ModelsJob, { compute, budget }: Setting): Promise<readonly Cell[]> {
  const { device, options, ceilings } = job;
  const { spec } = job.placed;
  const { threads, weights } = options;
  const limits = engineLimits(spec, device, budget);
  const started = performance.now();
  const engine = await openBenchEngine(spec, { device, threads, limits, compute, weights });
  const loadSeconds = (performance.now() - started) / 1000;
  try {
    const lengths = rowLengths(options.rows, spec.maxLength);
    const rows = randomRows(lengths, engine.info().vocabularySize);
    const batches = planBatches(lengths, limits);
    await warmUp(engine, rows, batches);
    const { seconds, tokens, paddedTokens } = await measure(engine, rows, batches);
    const facts = await readBaseFacts(spec.base);
    const speed = tokens / seconds;
    const used = engine.info().compute;
    const type = used === 'fp8' ? 'fp8' : '16-bit';
    const share = ceilingFor(ceilings, { architecture: spec.architecture, type, device, tokens: budget });
    return [
      spec.name,
      device,
      budget,
      speed,
      used,
      rows.length / seconds,
      percent(paddedTokens / tokens - 1),
      (speed * flopsPerToken(facts)) / 1e12,
      percent(share === undefined ? undefined : speed / share),
      loadSeconds,
    ];
  } finally {
    await engine.close();
  }
}

/** The largest batch, the widest one and a small one: buffers are then as large as they get. */
async function warmUp(engine: NativeEngine, rows: readonly Int32Array[], batches: readonly Batch[]): Promise<void> {
  const most = (key: (batch: Batch) => number): Batch | undefined => [...batches].sort((a, b) => key(b) - key(a)).at(0);
  const chosen = [most((batch) => batch.paddedTokens), most((batch) => batch.rows.length), batches.at(-1)];
  for (const batch of chosen) {
    if (batch !== undefined) await scoreBatch(engine, rows, batch);
  }
}

async function measure(
  engine: NativeEngine,
  rows: readonly Int32Array[],
  batches: readonly Batch[],
): Promise<Measured> {
  const started = performance.now();
  for (const batch of batches) await scoreBatch(engine, rows, batch);
  return {
    seconds: (performance.now() - started) / 1000,
    tokens: sumOf(batches.map(({ tokens }) => tokens)),
    paddedTokens: sumOf(batches.map(({ paddedTokens }) => paddedTokens)),
  };
}

function scoreBatch(engine: NativeEngine, rows: readonly Int32Array[], batch: Batch): Promise<Float32Array> {
  const { tokens, offsets } = packBatch(batch.rows.map((row) => rows[row] ?? new Int32Array(1)));
  return engine.score(tokens, offsets);
}
