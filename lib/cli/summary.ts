import type { BadRow, BadRowPolicy, DryRun, ModelPlan, ModelReport, RecordsOutcome, ScoredRecord } from '../outcome';
import type { Preference } from '../pair';
import { count } from './progress';

/** What a run was about. */
export interface RunFacts {
  readonly version: string;
  readonly input: string;
  readonly output: string;
  readonly ensemble: string;
  readonly rows: number;
  readonly onBadRow: BadRowPolicy;
  readonly models: readonly ModelReport[];
  /** Folders of models of weight 0. */
  readonly leftOut: readonly string[];
}

const SHOWN_BAD_ROWS = 5;

export function predictionJson(facts: RunFacts, outcome: RecordsOutcome): unknown {
  const { scores, badRows, tokens, seconds, devices } = outcome;
  const means = meanPreference(scores);
  return { ...facts, dryRun: false, written: scores.length, badRows, tokens, seconds, devices, means };
}

export function dryRunJson(facts: RunFacts, plan: DryRun): unknown {
  return { ...facts, dryRun: true, scorable: plan.rows, badRows: plan.badRows, plan: plan.models };
}

export function predictionText(facts: RunFacts, outcome: RecordsOutcome): string {
  const { scores, tokens, seconds } = outcome;
  const means = meanPreference(scores);
  const shares = `A ${percent(means.winnerModelA)}, B ${percent(means.winnerModelB)}, tie ${percent(means.winnerTie)}`;
  return lines([
    ...facts.models.map(modelLine),
    ...facts.leftOut.map(leftOutLine),
    ...badRowLines(outcome.badRows, facts.onBadRow),
    `mean prediction: ${shares}`,
    `${count(tokens)} tokens in ${seconds.toFixed(1)} s, ${count(tokens / Math.max(seconds, 0.001))} tokens/s`,
    `${count(scores.length)} rows written to ${facts.output === '-' ? 'standard output' : facts.output}`,
  ]);
}

export function dryRunText(facts: RunFacts, plan: DryRun): string {
  return lines([
    ...facts.models.map(modelLine),
    ...facts.leftOut.map(leftOutLine),
    ...badRowLines(plan.badRows, facts.onBadRow),
    ...plan.models.map(planLine),
    `${count(plan.rows)} of ${count(facts.rows)} rows can be scored; nothing was written (--dry-run)`,
  ]);
}

export function modelLine(model: ModelReport): string {
  const { name, architecture, quantization, compute, rowsInBf16, devices } = model;
  const { adapterMatched, adapterUnmatched, adapterScale } = model;
  const adapter =
    adapterMatched === 0
      ? 'no adapter'
      : `adapter of ${adapterMatched} LoRA pairs (${adapterUnmatched} unmatched), scale ${adapterScale}`;
  const others = rowsInBf16 === 0 ? '' : ` (${count(rowsInBf16)} rows in bf16)`;
  return `${name}: ${architecture} ${quantization} in ${compute}${others} on ${devices.join(' + ')}, weight ${model.weight.toFixed(3)}, ${adapter}`;
}

export function leftOutLine(folder: string): string {
  return `left out, of weight 0: ${folder}`;
}

function planLine(plan: ModelPlan): string {
  const padding = plan.tokens === 0 ? 0 : plan.paddedTokens / plan.tokens - 1;
  return (
    `${plan.name}: ${count(plan.sequences)} sequences, ${count(plan.tokens)} tokens (${percent(padding)} padding) in ` +
    `${count(plan.batches)} batches; longest ${count(plan.longest)}, ${count(plan.atMaxLength)} at the maximum length`
  );
}

function badRowLines(badRows: readonly BadRow[], policy: BadRowPolicy): readonly string[] {
  if (badRows.length === 0) return [];
  const fate = policy === 'uniform' ? 'answered with a third each' : 'left out';
  const shown = badRows.slice(0, SHOWN_BAD_ROWS).map(({ message }) => `  ${message}`);
  const more = badRows.length - shown.length;
  return [
    `${count(badRows.length)} malformed rows, ${fate}:`,
    ...shown,
    ...(more > 0 ? [`  and ${count(more)} more`] : []),
  ];
}

function meanPreference(scores: readonly ScoredRecord[]): Preference {
  const mean = (key: keyof Preference): number =>
    scores.reduce((sum, { preference }) => sum + preference[key], 0) / Math.max(scores.length, 1);
  return { winnerModelA: mean('winnerModelA'), winnerModelB: mean('winnerModelB'), winnerTie: mean('winnerTie') };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

function lines(list: readonly string[]): string {
  return list.map((line) => `${line}\n`).join('');
}
