/** Case models: one model on one device, warm, in each mode of the device; and at one fixed shape, for the peers. */

import { packBatch } from '../../lib/batches/pack';
import { planBatches, type Batch } from '../../lib/batches/plan';
import { readBaseFacts, flopsPerToken } from '../../lib/model/base-facts';
import type { PlacedModel } from '../../lib/model/place-ensemble';
import type { NativeEngine } from '../../lib/native/contract';
import { ceilingFor, type Ceiling } from '../ceiling';
import type { Figure } from '../figures';
import { FIXED_SHAPE, fixedLengths, randomRows, rowLengths, sumOf } from '../lengths';
import { modesOf, type Mode } from '../modes';
import { openBenchEngine } from '../models';
import type { BenchOptions } from '../options';
import { percent, type CaseReport, type Cell } from '../report';

export interface ModelsJob {
  readonly placed: PlacedModel;
  readonly device: string;
  readonly options: BenchOptions;
  readonly ceilings: readonly Ceiling[];
}

/** One mode, measured. */
interface Measured {
  readonly mode: Mode;
  /** What the engine says that it computes in. */
  readonly used: string;
  readonly rows: number;
  readonly seconds: number;
  readonly tokens: number;
  readonly paddedTokens: number;
  readonly loadSeconds: number;
  readonly firstSeconds: number;
  readonly weightBytes: number;
  /** Tokens a second at the fixed shape; undefined where it was not asked for. */
  readonly fixedSpeed: number | undefined;
}

const COLUMNS = [
  ...['model', 'device', 'batch tokens', 'tokens/s', 'computes in', 'rows/s', 'padding', 'TFLOP/s'],
  ...['of the ceiling, 16-bit or fp8', 'weights GiB', 'load s', 'first batch s'],
];
const FIXED_BATCHES = 8;
/** What torch.compile is measured in. */
const PEERS_TYPES = ['bf16', 'f16'] as const;

export async function benchModel(job: ModelsJob): Promise<CaseReport> {
  const { placed, device } = job;
  const all: Measured[] = [];
  const skipped: string[] = [];
  const modes = modesOf(placed, device, job.options);
  for (const mode of modes) {
    if (all.some((measured) => isSame(measured, mode))) continue;
    try {
      const forPeers = mode === modes[0] || PEERS_TYPES.some((type) => type === mode.compute);
      all.push(await measureMode(job, mode, device !== 'cpu' && forPeers));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const how = `batches of ${mode.limits.maxBatchTokens} tokens, compute ${mode.compute}, weights ${mode.weights}`;
      skipped.push(`models: ${placed.spec.name} on ${device} with ${how}: ${reason}`);
    }
  }
  const flops = flopsPerToken(await readBaseFacts(placed.spec.base));
  const rows = all.map((measured) => tableRow(job, measured, flops));
  const subject = { model: placed.spec.name, device };
  const figures = all.flatMap((measured) => figuresOf(subject, measured, measured.mode === modes[0]));
  return { tables: [{ title: 'models: one model on one device', columns: COLUMNS, rows }], skipped, figures };
}

/** Whether what was measured, perhaps as chosen by the engine, is this mode. */
function isSame({ mode, used }: Measured, { compute, weights, limits }: Mode): boolean {
  return used === compute && mode.weights === weights && mode.limits.maxBatchTokens === limits.maxBatchTokens;
}

async function measureMode(
  { placed, device, options }: ModelsJob,
  mode: Mode,
  atFixedShape: boolean,
): Promise<Measured> {
  const { spec } = placed;
  const started = performance.now();
  const engine = await openBenchEngine(spec, { device, threads: options.threads, ...mode });
  const loadSeconds = (performance.now() - started) / 1000;
  try {
    const { compute: used, vocabularySize, weightBytes } = engine.info();
    const lengths = rowLengths(options.rows, spec.maxLength);
    const rows = randomRows(lengths, vocabularySize);
    const batches = planBatches(lengths, mode.limits);
    const firstSeconds = await warmUp(engine, rows, batches);
    const measured = await measure(engine, rows, batches);
    const fixedSpeed = atFixedShape ? await measureFixedShape(engine, vocabularySize) : undefined;
    return { mode, used, rows: rows.length, ...measured, loadSeconds, firstSeconds, weightBytes, fixedSpeed };
  } finally {
    await engine.close();
  }
}

function tableRow({ placed, device, ceilings }: ModelsJob, measured: Measured, flops: number): readonly Cell[] {
  const { mode, used, tokens, seconds } = measured;
  const { architecture, name } = placed.spec;
  const speed = tokens / seconds;
  const type = used === 'fp8' ? 'fp8' : '16-bit';
  const most = ceilingFor(ceilings, { architecture, type, device });
  return [
    name,
    device,
    mode.limits.maxBatchTokens,
    speed,
    used,
    measured.rows / seconds,
    percent(measured.paddedTokens / tokens - 1),
    (speed * flops) / 1e12,
    percent(most === undefined ? undefined : speed / most),
    (measured.weightBytes / 2 ** 30).toFixed(1),
    measured.loadSeconds,
    measured.firstSeconds,
  ];
}

/** The first of the modes is the one that the other cases run in; where it failed, no other takes its place. */
export function figuresOf(
  subject: Pick<Figure, 'model' | 'device'>,
  measured: Omit<Measured, 'mode' | 'paddedTokens' | 'weightBytes' | 'rows'>,
  isFirst: boolean,
): readonly Figure[] {
  const { used, fixedSpeed, loadSeconds, firstSeconds } = measured;
  const figure = (name: Figure['name'], value: number, how: string): Figure => ({ name, ...subject, value, how });
  const speed = measured.tokens / measured.seconds;
  const figures: Figure[] = [];
  const isUsual = isFirst && used !== 'fp8';
  if (isFirst) figures.push(figure('alone', speed, used));
  if (isUsual) figures.push(figure('usual', speed, used));
  const type = PEERS_TYPES.find((each) => each === used);
  if (type !== undefined) figures.push(figure(type, speed, used));
  if (used.endsWith('streamed')) figures.push(figure('streamed', speed, used));
  if (used === 'fp8') figures.push(figure('fp8', speed, used));
  if (fixedSpeed !== undefined) {
    if (isUsual) figures.push(figure('fixed shape', fixedSpeed, used));
    if (type !== undefined) figures.push(figure(`${type} fixed shape`, fixedSpeed, used));
  }
  if (isFirst) {
    const how = `${loadSeconds.toFixed(1)} + ${firstSeconds.toFixed(1)}`;
    figures.push(figure('open and first batch', loadSeconds + firstSeconds, how));
  }
  return figures;
}

/** One pass: buffers are then as large as they get, and an algorithm is chosen for each shape. Seconds of its first call. */
async function warmUp(engine: NativeEngine, rows: readonly Int32Array[], batches: readonly Batch[]): Promise<number> {
  const [first, ...others] = batches;
  const started = performance.now();
  if (first !== undefined) await scoreBatch(engine, rows, first);
  const seconds = (performance.now() - started) / 1000;
  for (const batch of others) await scoreBatch(engine, rows, batch);
  return seconds;
}

async function measure(
  engine: NativeEngine,
  rows: readonly Int32Array[],
  batches: readonly Batch[],
): Promise<Pick<Measured, 'seconds' | 'tokens' | 'paddedTokens'>> {
  const started = performance.now();
  for (const batch of batches) await scoreBatch(engine, rows, batch);
  return {
    seconds: (performance.now() - started) / 1000,
    tokens: sumOf(batches.map(({ tokens }) => tokens)),
    paddedTokens: sumOf(batches.map(({ paddedTokens }) => paddedTokens)),
  };
}

/** Median of full batches without any padding, as torch.compile gets them. */
async function measureFixedShape(engine: NativeEngine, vocabulary: number): Promise<number> {
  const lengths = fixedLengths();
  const { tokens, offsets } = packBatch(randomRows(lengths, vocabulary));
  const seconds: number[] = [];
  for (let i = 0; i < FIXED_BATCHES; i += 1) {
    const started = performance.now();
    await engine.score(tokens, offsets);
    seconds.push((performance.now() - started) / 1000);
  }
  const median = [...seconds].sort((a, b) => a - b)[Math.floor(FIXED_BATCHES / 2)] ?? NaN;
  return (FIXED_SHAPE.rows * FIXED_SHAPE.length) / median;
}

function scoreBatch(engine: NativeEngine, rows: readonly Int32Array[], batch: Batch): Promise<Float32Array> {
  const { tokens, offsets } = packBatch(batch.rows.map((row) => rows[row] ?? new Int32Array(1)));
  return engine.score(tokens, offsets);
}
