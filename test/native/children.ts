/** Runs a piece of JavaScript against lib/ in a process of its own. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';

export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

const ROOT = join(__dirname, '..', '..');
const TIMEOUT_MS = 120_000;

/** `pairscore` is the package, `pair` a pair, and the body may await. */
export function runChild(body: string, flags: readonly string[] = []): Promise<Ending> {
  const child = spawn(process.execPath, [...flags, '-e', program(body)], {
    cwd: ROOT,
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...output }));
  });
}

/** The same in a worker thread of the child; `parentPort` tells the main thread, whose body knows `worker`. */
export function runInWorker(workerBody: string, mainBody: string): Promise<Ending> {
  return runChild(`
    const { Worker } = require('node:worker_threads');
    const { once } = require('node:events');
    const worker = new Worker(${JSON.stringify(`const { parentPort } = require('node:worker_threads');${program(workerBody)}`)}, { eval: true });
    ${mainBody}
  `);
}

function program(body: string): string {
  return `
    require('tsx/cjs');
    const pairscore = require(${JSON.stringify(join(ROOT, 'lib', 'index.ts'))});
    const pair = { prompt: 'why?', responseA: 'because '.repeat(40), responseB: 'no' };
    // An event loop that runs empty in the middle of the body is no success.
    process.exitCode = 8;
    (async () => { ${body}
      process.exitCode = 0;
    })().catch((error) => { console.error(error); process.exit(9); });
  `;
}
