import type { CellParser, Label, Template } from '../model/spec';

/** How the published checkpoints of the reference ensemble were trained. */
export interface Preset {
  readonly template: Template;
  readonly parser: CellParser;
  readonly nullText: string;
  readonly joiner: string;
  readonly maxLength: number;
}

export const PRESETS = {
  gemma: {
    template: { prompt: '<prompt>: ', responseA: '\n\n<response_a>: ', responseB: '\n\n<response_b>: ' },
    parser: 'python',
    nullText: '',
    joiner: ' ',
    maxLength: 2048,
  },
  llama: {
    template: { prompt: 'User prompt: ', responseA: '\n\nModel A :\n', responseB: '\n\n--------\n\nModel B:\n' },
    parser: 'strip',
    nullText: '',
    joiner: ' ',
    maxLength: 2048,
  },
} as const satisfies Readonly<Record<string, Preset>>;

export type PresetName = keyof typeof PRESETS;

export function isPresetName(name: string): name is PresetName {
  return Object.hasOwn(PRESETS, name);
}

const LABELS: readonly Label[] = ['winner_model_a', 'winner_model_b', 'winner_tie'];

export function isLabel(name: string): name is Label {
  return LABELS.some((label) => label === name);
}

/** The order in which every published head of this task was trained: a, b and, with three, tie. */
export function defaultLabels(count: number): readonly Label[] | null {
  return count === 2 || count === 3 ? LABELS.slice(0, count) : null;
}
