/** Case ceiling: matrix products at each model's layer shapes, alone, by type and batch size; and a device copy. */

import { linearShapes, readBaseFacts, type BaseFacts } from '../../lib/model/base-facts';
import type { PlacedModel } from '../../lib/model/place-ensemble';
import { fastestCeiling, type Ceiling } from '../ceiling';
import type { Figure } from '../figures';
import { runForJson, type Printed } from '../json-lines';
import type { BenchOptions } from '../options';
import { findProgram } from '../programs';
import { joinReports, skippedReport, type CaseReport, type Cell } from '../report';

export interface CeilingOutcome {
  readonly report: CaseReport;
  readonly ceilings: readonly Ceiling[];
}

/** As our engine cuts its batches on the 132 multiprocessors of an H100 or H200. */
const TOKENS = [16896] as const;
const LIMIT_SECONDS = 120;
const COLUMNS = [
  ...['shapes of', 'device', 'type', 'batch tokens', 'tokens/s', 'TFLOP/s'],
  ...['back to back, tokens/s', 'first choice against best'],
];

export async function benchCeiling(
  models: readonly PlacedModel[],
  devices: readonly string[],
  options: BenchOptions,
): Promise<CeilingOutcome> {
  const gpus = devices.filter((device) => device.startsWith('cuda:'));
  if (gpus.length === 0) return { report: skippedReport('ceiling: no GPU was found'), ceilings: [] };
  const program = findProgram('gemm_ceiling', options.cache);
  if ('missing' in program) return { report: skippedReport(`ceiling: ${program.missing}`), ceilings: [] };
  const outcomes: CeilingOutcome[] = [];
  for (const device of gpus) {
    for (const { spec } of models) {
      const facts = await readBaseFacts(spec.base);
      const shapes = linearShapes(facts).map(({ inputs, outputs }) => `${inputs}x${outputs}`);
      const args = [device.slice('cuda:'.length), TOKENS.join(','), shapes.join(',')];
      const printed = await runForJson({ file: program.path, args, limitSeconds: LIMIT_SECONDS });
      outcomes.push(outcomeOf(printed, { name: spec.name, device, facts }));
    }
  }
  return {
    report: joinReports(outcomes.map(({ report }) => report)),
    ceilings: outcomes.flatMap(({ ceilings }) => ceilings),
  };
}

interface Subject {
  readonly name: string;
  readonly device: string;
  readonly facts: BaseFacts;
}

/** Milliseconds of all shapes together. */
interface Product {
  readonly type: string;
  readonly tokens: number;
  readonly firstMs: number;
  readonly bestMs: number;
  readonly lastingMs: number;
  readonly teraflops: number;
}

const NUMBERS = ['tokens', 'firstMs', 'bestMs', 'lastingMs', 'teraflops'] as const;

function isProduct(line: object): line is Product {
  const values = new Map<string, unknown>(Object.entries(line));
  return typeof values.get('type') === 'string' && NUMBERS.every((key) => typeof values.get(key) === 'number');
}

export function outcomeOf({ lines, failure }: Printed, { name, device, facts }: Subject): CeilingOutcome {
  const ceilings: Ceiling[] = [];
  const rows: (readonly Cell[])[] = [];
  const skipped = failure === undefined ? [] : [`ceiling of ${name} on ${device}: ${failure}`];
  for (const line of lines) {
    const copied = line['copyBytesPerSecond'];
    if (typeof copied === 'number') rows.push([name, device, 'device copy, TB/s', '', copied / 1e12, '', '', '']);
    if (typeof line['skipped'] === 'string') {
      skipped.push(
        `ceiling of ${name} on ${device}, ${String(line['type'])}, ${String(line['tokens'])} tokens: ${line['skipped']}`,
      );
    }
    if (!isProduct(line)) continue;
    const { type, tokens, firstMs, bestMs, lastingMs, teraflops } = line;
    const speed = (milliseconds: number): number => (1000 * tokens) / (milliseconds * facts.layers);
    ceilings.push({
      device,
      architecture: facts.architecture,
      type,
      tokens,
      tokensPerSecond: speed(bestMs),
      teraflops,
    });
    rows.push([name, device, type, tokens, speed(bestMs), teraflops, speed(lastingMs), firstMs / bestMs]);
  }
  const title = 'ceiling: the linear layers as matrix products alone, best algorithm of cuBLASLt';
  const figures = ceilingFigures(ceilings, { name, device, facts });
  return { report: { tables: [{ title, columns: COLUMNS, rows }], skipped, figures }, ceilings };
}

function ceilingFigures(ceilings: readonly Ceiling[], { name, device, facts }: Subject): readonly Figure[] {
  const { architecture } = facts;
  return (['16-bit', 'f16', 'fp8'] as const).flatMap((type) => {
    const best = fastestCeiling(ceilings, { device, architecture, type });
    if (best === undefined) return [];
    return [{ name: `ceiling ${type}` as const, model: name, device, value: best.tokensPerSecond, how: best.type }];
  });
}
