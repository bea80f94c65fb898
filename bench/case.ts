/** One case in a process of its own: its parent sends the job and gets the report. */

import { benchEndToEnd } from './cases/end-to-end';
import { benchEnsemble } from './cases/ensemble';
import { benchLatency } from './cases/latency';
import { benchModel, type ModelsJob } from './cases/models';
import type { BenchOptions } from './options';
import type { CaseReport } from './report';

export type CaseJob =
  | { readonly name: 'models'; readonly job: ModelsJob }
  | { readonly name: 'ensemble' | 'end-to-end' | 'latency'; readonly options: BenchOptions };

function runJob(job: CaseJob): Promise<CaseReport> {
  if (job.name === 'models') return benchModel(job.job);
  if (job.name === 'ensemble') return benchEnsemble(job.options);
  return job.name === 'latency' ? benchLatency(job.options) : benchEndToEnd(job.options);
}

process.once('message', (job: CaseJob) => {
  runJob(job)
    .then((report) => process.send?.(report))
    .catch((error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    })
    .finally(() => process.disconnect());
});
