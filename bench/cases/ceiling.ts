/** Case ceiling: matrix products at each model's layer shapes, alone, by type and batch size; and a device copy. */

import { linearShapes, readBaseFacts, type BaseFacts } from '../../lib/model/base-facts';
import type { PlacedModel } from '../../lib/model/place-ensemble';
import type { Ceiling } from '../ceiling';
import { runForJson, type Printed } from '../json-lines';
import type { BenchOptions } from '../options';
import { findProgram } from '../programs';
import { joinReports, skippedReport, type CaseReport, type Cell } from '../report';

export interface CeilingOutcome {
  readonly report: CaseReport;
  readonly ceilings: readonly Ceiling[];
}

const TOKENS = [8192, 16384, 32768] as const;
const LIMIT_SECONDS = 120;
const COLUMNS = ['shapes of', 'device', 'type', 'batch tokens', 'tokens/s', 'TFLOP/s', 'first choice against best'];

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

export function outcomeOf({ lines, failure }: Printed, { name, device, facts }: Subject): CeilingOutcome {
  const ceilings: Ceiling[] = [];
  const rows: (readonly Cell[])[] = [];
  const skipped = failure === undefined ? [] : [`ceiling of ${name} on ${device}: ${failure}`];
  for (const line of lines) {
    const { type, tokens, bestMs, firstMs, teraflops, skipped: why } = line;
    if (typeof line['copyBytesPerSecond'] === 'number') {
      rows.push([name, device, 'device copy, TB/s', '', line['copyBytesPerSecond'] / 1e12, '', '']);
    }
    if (typeof type !== 'string' || typeof tokens !== 'number') continue;
    if (typeof bestMs !== 'number' || typeof firstMs !== 'number' || typeof teraflops !== 'number') {
      skipped.push(`ceiling of ${name} on ${device}, ${type}, ${tokens} tokens: ${String(why)}`);
      continue;
    }
    const tokensPerSecond = (1000 * tokens) / (bestMs * facts.layers);
    ceilings.push({ device, architecture: facts.architecture, type, tokens, tokensPerSecond, teraflops });
    rows.push([name, device, type, tokens, tokensPerSecond, teraflops, firstMs / bestMs]);
  }
  const title = 'ceiling: the linear layers as matrix products alone, best algorithm of cuBLASLt';
  return { report: { tables: [{ title, columns: COLUMNS, rows }], skipped }, ceilings };
}
