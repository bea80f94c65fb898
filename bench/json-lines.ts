/** Runs a program that prints one JSON object a line, and gives its objects, even those before a failure. */

import { spawn } from 'node:child_process';

export interface Printed {
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** Why it ended early, or undefined. */
  readonly failure: string | undefined;
}

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  /** Ended after so long: what was printed until then counts. */
  readonly limitSeconds: number;
}

export function runForJson({ file, args, limitSeconds }: Program): Promise<Printed> {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const output: string[] = [];
    const errors: string[] = [];
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill();
    }, limitSeconds * 1000);
    child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
    child.once('error', (error) => errors.push(error.message));
    child.once('close', (code) => {
      clearTimeout(timer);
      const reason = timedOut ? `ended after ${limitSeconds} s` : code === 0 ? undefined : lastLine(errors.join(''));
      resolve({ lines: parseLines(output.join('')), failure: reason });
    });
  });
}

export function parseLines(text: string): readonly Readonly<Record<string, unknown>>[] {
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return [];
    try {
      const value: unknown = JSON.parse(line);
      return isRecord(value) ? [value] : [];
    } catch {
      return [];
    }
  });
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.slice(0, 300) || 'it failed without a word';
}
