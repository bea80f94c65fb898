import { Command } from 'commander';
import { doctor, type DoctorFlags } from './doctor';
import { addPredictFlags, addScorerFlags, type PredictFlags } from './flags';
import { addImportFlags, runImport } from './import';
import type { ImportFlags } from './import-options';
import { VERSION } from './package-root';
import { predict } from './predict';
import type { Stop } from './stop';

const EXAMPLES = `
Without arguments, predict scores the bundled demo into ./submission.csv.

Exit codes: 0 done, 1 internal, 2 usage or configuration, 3 input data, 4 model files, 5 device, 130 and 143 signals.
`;

/** The command line as commander knows it. Throws CommanderError for what it refuses, and for --help and --version. */
export function buildProgram(stop: Stop): Command {
  const program = new Command('pairscore')
    .description('Predicts which of two chatbot replies people prefer.')
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError('(pairscore --help lists what there is)')
    .addHelpText('after', EXAMPLES);
  addPredictFlags(program.command('predict'))
    .description('score the pairs of a CSV file into a submission CSV')
    .action((flags: PredictFlags) => predict(flags, stop));
  addScorerFlags(program.command('doctor'))
    .description('say what this machine and build can do, and open an ensemble')
    .option('--json', 'print JSON')
    .action((flags: DoctorFlags) => doctor(flags, stop.signal));
  addImportFlags(program.command('import')).action((flags: ImportFlags) => runImport(flags, stop.signal));
  return program;
}
