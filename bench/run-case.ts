/** Starts a case in a process of its own. What it says on standard error is shown as it comes. */

import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { CaseJob } from './case';
import { skippedReport, type CaseReport } from './report';

/** A case that fails is a line among the skipped ones: the others go on. */
export function runCase(job: CaseJob): Promise<CaseReport> {
  return new Promise((resolve) => {
    const child = fork(join(__dirname, 'case.ts'), [], {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    const errors: string[] = [];
    let answer: CaseReport | undefined;
    child.on('message', (report: CaseReport) => {
      answer = report;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors.push(text);
      process.stderr.write(text);
    });
    child.once('close', (code) => {
      resolve(answer ?? skippedReport(`${job.name}: ${reason(errors.join(''), code)}`));
    });
    child.send(job);
  });
}

function reason(text: string, code: number | null): string {
  return text.trim().split('\n').at(-1) || `it ended with ${code ?? 'a signal'}`;
}
