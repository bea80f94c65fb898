import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { InvalidArgumentError } from 'commander';
import { PairscoreError } from '../errors';
import type { AdapterSource, ImportOptions } from '../import/import-model';
import { isPresetName, type Preset, PRESETS } from '../import/presets';
import type { CellParser, Template, Truncation } from '../model/spec';

/** What commander hands over. */
export interface ImportFlags {
  readonly base: string;
  readonly adapter?: readonly AdapterSource[];
  readonly tokenizer?: string;
  readonly out: string;
  readonly name?: string;
  readonly template: string;
  readonly loraAlpha?: number;
  readonly rslora?: true;
  readonly average: 'deltas' | 'factors';
  readonly merge?: true;
  readonly type?: string;
  readonly threads?: number;
  readonly labels?: string;
  readonly parser?: CellParser;
  readonly nullText?: string;
  readonly joiner?: string;
  readonly maxLength?: number;
  readonly truncation: Truncation;
  readonly attentionSoftCap: boolean;
  readonly check?: true;
  readonly dryRun?: true;
  readonly json?: true;
  readonly quiet?: true;
}

export async function optionsOf(flags: ImportFlags): Promise<ImportOptions> {
  const preset = await presetOf(flags.template);
  const {
    parser = preset.parser,
    nullText = preset.nullText,
    joiner = preset.joiner,
    maxLength = preset.maxLength,
  } = flags;
  const { base, out, average, truncation, attentionSoftCap } = flags;
  return {
    base,
    out,
    average,
    truncation,
    attentionSoftCap,
    parser,
    nullText,
    joiner,
    maxLength,
    template: preset.template,
    adapters: flags.adapter ?? [],
    tokenizer: flags.tokenizer ?? null,
    name: flags.name ?? null,
    alpha: flags.loraAlpha ?? null,
    rsLora: flags.rslora === true,
    merge: flags.merge === true,
    type: flags.type ?? null,
    threads: flags.threads ?? availableParallelism(),
    labels: flags.labels?.split(',').map((label) => label.trim()) ?? null,
    dryRun: flags.dryRun === true,
  };
}

async function presetOf(template: string): Promise<Preset> {
  if (isPresetName(template)) return PRESETS[template];
  const names = Object.keys(PRESETS).join(', ');
  const text = await readFile(template, 'utf8').catch((cause: unknown) => {
    throw new PairscoreError('ERR_USAGE', `Expected ${names} or a JSON file for --template but received ${template}`, {
      cause,
    });
  });
  return { template: parseTemplate(text, template), parser: 'python', nullText: '', joiner: ' ', maxLength: 2048 };
}

function parseTemplate(text: string, path: string): Template {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PairscoreError('ERR_USAGE', `${path}: Expected JSON for a template`, { file: path, cause });
  }
  if (
    typeof value === 'object' &&
    value !== null &&
    'prompt' in value &&
    'responseA' in value &&
    'responseB' in value
  ) {
    const { prompt, responseA, responseB } = value;
    if (typeof prompt === 'string' && typeof responseA === 'string' && typeof responseB === 'string')
      return { prompt, responseA, responseB };
  }
  throw new PairscoreError(
    'ERR_USAGE',
    `${path}: Expected a template of three strings, prompt, responseA and responseB`,
    { file: path },
  );
}

/** path, or path=weight. */
export function addAdapter(text: string, before: readonly AdapterSource[] | undefined): readonly AdapterSource[] {
  const match = /^(.+)=(\d+(?:\.\d+)?)$/.exec(text);
  const source = match === null ? { path: text, weight: 1 } : { path: match[1] ?? text, weight: Number(match[2]) };
  return [...(before ?? []), source];
}

export function positive(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new InvalidArgumentError('Expected a positive number.');
  return value;
}

export function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('Expected a positive integer.');
  return value;
}
