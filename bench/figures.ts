/**
 * Numbers that stand beside the tables of a case, for what is made of several cases: shares and ratios. 'alone' is a model
 * in the mode that the other cases run in: what a user gets who sets nothing, or what was asked for; 'usual' is the same,
 * where that is no fp8, which is not held to 16-bit peers.
 */

export const FIGURES = [
  'ceiling 16-bit',
  'ceiling f16',
  'ceiling fp8',
  'usual',
  'alone',
  'bf16',
  'f16',
  'streamed',
  'fp8',
  'fixed shape',
  'bf16 fixed shape',
  'f16 fixed shape',
  'all at once',
  'open and first batch',
  'transformers',
  'torch.compile',
  'torch.compile f16',
  'llama.cpp',
  'llama.cpp embedding',
] as const;

export type FigureName = (typeof FIGURES)[number];

export interface Figure {
  readonly name: FigureName;
  readonly model: string;
  readonly device: string;
  /** Tokens a second; seconds of 'open and first batch'. */
  readonly value: number;
  /** What was measured, in a few words. */
  readonly how: string;
}

/** The largest of several of one name; undefined where nothing was measured. */
export function bestFigure(
  figures: readonly Figure[],
  { name, model, device }: Pick<Figure, 'name' | 'model' | 'device'>,
): Figure | undefined {
  const own = figures.filter((one) => one.name === name && one.model === model && one.device === device);
  return own.reduce<Figure | undefined>((best, one) => (best && best.value >= one.value ? best : one), undefined);
}
