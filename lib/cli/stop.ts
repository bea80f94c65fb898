import { EXIT } from '../errors';

const EXIT_OF_SIGNAL = { SIGINT: EXIT.sigint, SIGTERM: EXIT.sigterm } as const;

/** What a batch in flight may take before the process ends without it. Nothing was written by then. */
const GRACE_MS = 3000;

export interface Stop {
  readonly signal: AbortSignal;
  /** The exit code that a signal asked for, or null. */
  readonly exitCode: () => number | null;
}

/** The first SIGINT or SIGTERM aborts the work; a second one, or work that does not end, exits at once. */
export function stopOnSignals(): Stop {
  const controller = new AbortController();
  let exitCode: number | null = null;
  const stop = (asked: number): void => {
    if (exitCode !== null) process.exit(exitCode);
    exitCode = asked;
    controller.abort();
    setTimeout(() => process.exit(asked), GRACE_MS).unref();
  };
  process.on('SIGINT', () => stop(EXIT_OF_SIGNAL.SIGINT));
  process.on('SIGTERM', () => stop(EXIT_OF_SIGNAL.SIGTERM));
  return { signal: controller.signal, exitCode: () => exitCode };
}
