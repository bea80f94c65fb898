import { type Command, Option } from 'commander';
import { importModel } from '../import/import-model';
import { reportText } from '../import/report-text';
import { checkModel } from './import-check';
import { addAdapter, count, type ImportFlags, optionsOf, positive } from './import-options';
import { progressLine } from './import-progress';

/** `pairscore import`: trained checkpoints become a model folder. */
export function addImportFlags(command: Command): Command {
  command
    .description('make a model folder of a base model and what a training run left')
    .requiredOption('--base <path>', 'base model: a GGUF file or a Hugging Face folder')
    .addOption(
      new Option(
        '--adapter <path[=weight]>',
        'PEFT folder, .safetensors or torch state dict; several are averaged',
      ).argParser(addAdapter),
    )
    .requiredOption('--out <folder>', 'model folder to make')
    .requiredOption('--template <name|file>', 'gemma, llama, or a JSON file {prompt, responseA, responseB}')
    .option('--tokenizer <folder>', "folder of tokenizer.json; by default the adapter's or the base's")
    .option('--name <name>', "what reports call the model; by default the folder's name")
    .option('--lora-alpha <number>', 'alpha of a state dict, which does not say it', positive)
    .option('--rslora', 'the state dict was trained with rsLoRA: alpha / sqrt(rank)')
    .addOption(
      new Option('--average <mode>', 'average products exactly, or the factors')
        .choices(['deltas', 'factors'])
        .default('deltas'),
    )
    .option('--merge', 'add the LoRA to the weights and write one GGUF')
    .option('--type <type>', 'type of a converted or merged base: f32, f16, bf16, q8_0, q4_k_m, ...')
    .option('--threads <number>', 'threads that convert', count)
    .option('--check', 'score three built-in pairs with the result')
    .option('--dry-run', 'check and report everything, write nothing')
    .option('--json', 'print the report as JSON')
    .option('--quiet', 'no progress');
  return addModelFlags(command);
}

/** Facts of the model that neither base nor adapter says. */
function addModelFlags(command: Command): Command {
  return command
    .option('--labels <list>', 'columns of the head, comma separated')
    .addOption(
      new Option('--parser <name>', 'how cells were parsed in training').choices(['python', 'json', 'strip', 'text']),
    )
    .option('--max-length <tokens>', 'tokens a row, special tokens counted', count)
    .option('--null-text <text>', 'what a missing turn reads as')
    .option('--joiner <text>', 'what stands between two turns')
    .addOption(
      new Option('--truncation <side>', 'what is cut')
        .choices(['right', 'left', 'middle', 'proportional'])
        .default('right'),
    )
    .option('--no-attention-soft-cap', 'the checkpoint was trained without it');
}

export async function runImport(flags: ImportFlags, signal: AbortSignal): Promise<void> {
  const options = await optionsOf(flags);
  const onProgress = flags.quiet === true ? () => undefined : progressLine(process.stderr, Date.now());
  const report = await importModel(options, { signal, onProgress });
  const { out, threads } = options;
  const check = flags.check === true && report.written ? await checkModel(out, { threads, signal }) : null;
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify(check === null ? report : { ...report, check }, null, 2)}\n`);
    return;
  }
  process.stdout.write(reportText(report));
  for (const { name, winnerModelA, winnerModelB, winnerTie } of check ?? []) {
    process.stdout.write(
      `check      ${name}: a ${winnerModelA.toFixed(4)}, b ${winnerModelB.toFixed(4)}, tie ${winnerTie.toFixed(4)}\n`,
    );
  }
}
