/** Runs the compiled program as a user does: a process of its own, in a folder of its own. */

import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';

export const ROOT = path.join(__dirname, '..', '..');
export const DEMO_ROWS = path.join(ROOT, 'models', 'demo', 'test.csv');
export const HEADER = 'id,prompt,response_a,response_b\n';
export const SUBMISSION_HEADER = 'id,winner_model_a,winner_model_b,winner_tie';

const MAIN = path.join(ROOT, 'dist', 'cli', 'main.js');

export interface Finished {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type Child = ChildProcessByStdio<null, Readable, Readable>;

export interface Running {
  readonly child: Child;
  /** Resolves once stderr holds this text; rejects where the program ends before. */
  readonly says: (text: string) => Promise<void>;
  readonly finished: Promise<Finished>;
}

export interface Place {
  readonly cwd: string;
  readonly uid?: number;
}

export function start(args: readonly string[], place: Place): Running {
  // Test processes share the machine; threads of one engine that wait for each other would waste it.
  const threads = args[0] === 'predict' ? ['predict', '--threads', '1', ...args.slice(1)] : args;
  const child = spawn(process.execPath, [MAIN, ...threads], { ...place, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const finished = new Promise<Finished>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const says = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => (stderr.includes(text) ? resolve() : undefined);
      child.stderr.on('data', look);
      void finished.then(() => reject(new Error(`ended without saying '${text}': ${stderr}`)));
      look();
    });
  return { child, says, finished };
}

export function run(args: readonly string[], place: Place): Promise<Finished> {
  return start(args, place).finished;
}

export function temporaryFolder(): string {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'pairscore-cli-'));
}

/** Rows of one-turn cells: [id, prompt, a, b]. */
export function csvOf(rows: readonly (readonly [string, string, string, string])[]): string {
  const cell = (text: string): string => `"${JSON.stringify([text]).replaceAll('"', '""')}"`;
  return HEADER + rows.map(([id, ...texts]) => `${id},${texts.map(cell).join(',')}\n`).join('');
}

export interface SubmissionRow {
  readonly id: string;
  readonly a: number;
  readonly b: number;
  readonly tie: number;
}

/** Checks the form of a submission and that every row is a distribution. */
export function submissionOf(text: string): readonly SubmissionRow[] {
  const lines = text.split('\n');
  assert.equal(lines[0], SUBMISSION_HEADER);
  assert.equal(lines.at(-1), '');
  return lines.slice(1, -1).map((line) => {
    const [id = '', ...numbers] = line.split(',');
    const [a = NaN, b = NaN, tie = NaN] = numbers.map(Number);
    assert.equal(numbers.length, 3, line);
    assert(Math.abs(a + b + tie - 1) < 1e-9 && Math.min(a, b, tie) > 0, line);
    return { id, a, b, tie };
  });
}

/** A refusal is one line with its code and the exit code of its family: no stack, nothing on standard output. */
export function expectRefusal(result: Finished, exitCode: number, text: RegExp): void {
  assert.equal(result.code, exitCode, result.stderr);
  assert.match(result.stderr, text);
  assert.doesNotMatch(result.stderr, /\n\s+at |this is a bug/);
  assert.equal(result.stdout, '');
}
