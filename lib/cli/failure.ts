import { inspect } from 'node:util';
import { CommanderError } from 'commander';
import { ERROR_CODES, EXIT, hasErrorCode, PairscoreError, type ErrorPlace } from '../errors';

/** An error as a user and a program may read it. */
export interface Failure {
  readonly exitCode: number;
  /** One line, or a stack where it is a bug. '' where it was told already. */
  readonly text: string;
}

export function toFailure(error: unknown): Failure {
  // commander has written its own line to stderr, or the help to stdout.
  if (error instanceof CommanderError) {
    return { exitCode: error.exitCode === 0 ? EXIT.ok : EXIT.usage, text: '' };
  }
  if (!hasErrorCode(error)) {
    return { exitCode: EXIT.internal, text: `pairscore: this is a bug: ${inspect(error)}` };
  }
  const place: ErrorPlace = error instanceof PairscoreError ? error.place : {};
  return {
    exitCode: ERROR_CODES[error.code],
    text: `pairscore: ${placed(error.message, place)} [${error.code}]`,
  };
}

function placed(message: string, { file }: ErrorPlace): string {
  return file === undefined || message.includes(file) ? message : `${file}: ${message}`;
}
