import { InvalidArgumentError, Option, type Command } from 'commander';
import type { BadRowPolicy } from '../outcome';
import { COMPUTES, STORAGES, TOKENIZERS, type ScorerOptions } from '../settings';

/** Flags that open a scorer, named as the options of openScorer. */
export type ScorerFlags = Omit<ScorerOptions, 'lookAhead' | 'onStage' | 'signal'>;

export interface PredictFlags extends ScorerFlags {
  readonly input?: string;
  readonly output?: string;
  readonly onBadRow: BadRowPolicy;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly dryRun?: boolean;
}

export function addPredictFlags(command: Command): Command {
  command
    .option('-i, --input <file>', 'CSV with id, prompt, response_a, response_b (default: the rows of the bundled demo)')
    .option('-o, --output <file>', 'where the submission goes, - for standard output (default: submission.csv)');
  return addScorerFlags(command)
    .addOption(
      new Option('--on-bad-row <policy>', 'what a row with a malformed cell becomes')
        .choices(['skip', 'fail', 'uniform'])
        .default('fail'),
    )
    .option('--json', 'print a summary as JSON on standard output (on standard error with -o -)')
    .option('--quiet', 'print errors only')
    .option('--dry-run', 'read, parse, tokenize and load everything, score and write nothing');
}

export function addScorerFlags(command: Command): Command {
  return command
    .option('--ensemble <file>', 'which models, their weights and devices (default: the bundled demo)')
    .option('--max-length <tokens>', 'tokens a row, in place of each manifest, at most 1048576', wholeNumber)
    .option('--batch-tokens <tokens>', 'most tokens in one batch, padding included', wholeNumber)
    .option('--tta', 'score each pair also with A and B swapped, and average')
    .option('--spread-max-length', 'give prompt, A and B a third of the length each')
    .option('--device <devices>', 'cpu, cuda:N or auto, several with commas, in place of the ensemble file', listed)
    .option('--threads <count>', 'CPU threads in all, at most 4 times what the machine offers, or 64', wholeNumber)
    .addOption(new Option('--tokenizer <which>', 'native, checked against tokenizer.json, or hf').choices(TOKENIZERS))
    .addOption(new Option('--compute <type>', "what a GPU multiplies in, or llama.cpp's engine").choices(COMPUTES))
    .addOption(new Option('--weights <storage>', 'how a GPU keeps the weights').choices(STORAGES));
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('Expected a whole number of at least 1.');
}

function listed(text: string): readonly string[] {
  return text.split(',').map((device) => device.trim());
}
