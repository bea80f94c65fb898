/** The table that the CUDA engine is judged by: shares and ratios of one run, beside what was asked of each architecture. */

import { bestFigure, type Figure, type FigureName } from './figures';
import { percent, type Cell, type Table } from './report';

interface Target {
  readonly what: string;
  readonly of: FigureName;
  /** null: the figure itself, in seconds, is not to be above. */
  readonly against: FigureName | null;
  readonly asked: Readonly<Partial<Record<string, number>>>;
  readonly unit: 'share' | 'times' | 'seconds';
}

const TARGETS: readonly Target[] = [
  {
    what: 'as it comes, share of the 16-bit ceiling',
    of: 'usual',
    against: 'ceiling 16-bit',
    asked: { gemma2: 0.9, llama: 0.9 },
    unit: 'share',
  },
  {
    what: 'bf16, share of the 16-bit ceiling',
    of: 'bf16',
    against: 'ceiling 16-bit',
    asked: { gemma2: 0.9, llama: 0.9 },
    unit: 'share',
  },
  {
    what: 'f16, share of the ceiling of f16',
    of: 'f16',
    against: 'ceiling f16',
    asked: { gemma2: 0.9, llama: 0.9 },
    unit: 'share',
  },
  {
    what: 'all models on all devices at once, share of each alone',
    of: 'all at once',
    against: 'alone',
    asked: { gemma2: 0.97, llama: 0.97 },
    unit: 'share',
  },
  {
    what: 'streamed weights, share of resident',
    of: 'streamed',
    against: 'usual',
    asked: { gemma2: 0.94, llama: 0.94 },
    unit: 'share',
  },
  {
    what: 'fp8, share of the fp8 ceiling (one scale a tensor)',
    of: 'fp8',
    against: 'ceiling fp8',
    asked: { gemma2: 0.75, llama: 0.75 },
    unit: 'share',
  },
  {
    what: 'against transformers, 16-bit, SDPA, merged, its best batch',
    of: 'usual',
    against: 'transformers',
    asked: { gemma2: 1.6, llama: 1.45 },
    unit: 'times',
  },
  {
    what: 'against the same under torch.compile, both at 24 x 704',
    of: 'fixed shape',
    against: 'torch.compile',
    asked: { gemma2: 1.15, llama: 1.15 },
    unit: 'times',
  },
  {
    what: 'the same, both in bf16',
    of: 'bf16 fixed shape',
    against: 'torch.compile',
    asked: { gemma2: 1.15, llama: 1.15 },
    unit: 'times',
  },
  {
    what: 'the same, both in f16',
    of: 'f16 fixed shape',
    against: 'torch.compile f16',
    asked: { gemma2: 1.15, llama: 1.15 },
    unit: 'times',
  },
  {
    what: 'against stock llama.cpp on the quantised file, its best mode',
    of: 'usual',
    against: 'llama.cpp',
    asked: { gemma2: 4, llama: 3.7 },
    unit: 'times',
  },
  {
    what: 'against its embedding mode, ubatch 512',
    of: 'usual',
    against: 'llama.cpp embedding',
    asked: { gemma2: 1.25, llama: 1.25 },
    unit: 'times',
  },
  {
    what: 'opening, file in the page cache, and first batch, s',
    of: 'open and first batch',
    against: null,
    asked: { gemma2: 10, llama: 10 },
    unit: 'seconds',
  },
];

export interface Subject {
  readonly name: string;
  readonly architecture: string;
}

const COLUMNS = ['model', 'measure', 'pairscore', 'beside', 'result', 'asked', 'met'] as const;

/** Of one device; a row only where both of its figures were measured. */
export function targetsTable(figures: readonly Figure[], subjects: readonly Subject[], device: string): Table {
  const rows = subjects.flatMap((subject) =>
    TARGETS.flatMap((target) => {
      const row = targetRow(figures, target, { subject, device });
      return row === undefined ? [] : [row];
    }),
  );
  return { title: `reached on ${device}, beside what was asked (H100)`, columns: COLUMNS, rows };
}

function targetRow(
  figures: readonly Figure[],
  target: Target,
  { subject, device }: { readonly subject: Subject; readonly device: string },
): readonly Cell[] | undefined {
  const find = (name: FigureName): Figure | undefined => bestFigure(figures, { name, model: subject.name, device });
  const own = find(target.of);
  const other = target.against === null ? undefined : find(target.against);
  if (own === undefined || (target.against !== null && other === undefined)) return undefined;
  const asked = target.asked[subject.architecture];
  const result = other === undefined ? own.value : own.value / other.value;
  const met =
    asked === undefined ? '-' : (target.unit === 'seconds' ? result <= asked : result >= asked) ? 'yes' : 'no';
  return [subject.name, target.what, said(own), said(other), text(result, target), text(asked, target), met];
}

function said(figure: Figure | undefined): string {
  if (figure === undefined) return '-';
  if (figure.name === 'open and first batch') return figure.how;
  return `${Math.round(figure.value).toLocaleString('en-US')} (${figure.how})`;
}

function text(value: number | undefined, { unit }: Target): string {
  if (value === undefined) return '-';
  if (unit === 'share') return percent(value);
  return unit === 'times' ? `${value.toFixed(2)} x` : value.toFixed(1);
}
