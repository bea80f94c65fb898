import { EXIT } from '../errors';

const EXIT_OF_SIGNAL = { SIGINT: EXIT.sigint, SIGTERM: EXIT.sigterm } as const;

/** What a batch in flight may take before the process ends without it. Nothing was written by then. */
const GRACE_MS = 3000;

export interface Stop {
  readonly signal: AbortSignal;
  /** The exit code that a signal asked for, or null. */
  readonly exitCode: () => number | null;
  /** The output stands: from now on a signal may end the process early, but nothing was lost. */
  readonly commit: () => void;
}

/** The first SIGINT or SIGTERM aborts the work; a second one, or work that does not end, exits at once. */
export function stopOnSignals(): Stop {
  const controller = new AbortController();
  let asked: number | null = null;
  let isCommitted = false;
  const exitCode = (): number | null => (isCommitted ? null : asked);
  const stop = (code: number): void => {
    const end = (): never => process.exit(exitCode() ?? EXIT.ok);
    if (asked !== null) end();
    asked = code;
    controller.abort();
    setTimeout(end, GRACE_MS).unref();
  };
  process.on('SIGINT', () => stop(EXIT_OF_SIGNAL.SIGINT));
  process.on('SIGTERM', () => stop(EXIT_OF_SIGNAL.SIGTERM));
  const commit = (): void => {
    isCommitted = true;
  };
  return { signal: controller.signal, exitCode, commit };
}
