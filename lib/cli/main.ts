#!/usr/bin/env node
import { EXIT } from '../errors';
import { buildProgram } from './program';
import { toFailure } from './failure';
import { stopOnSignals, type Stop } from './stop';

/** Returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  // A reader that goes away is told by the write that fails, not by a crash.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const stop = stopOnSignals();
  try {
    await buildProgram(stop).parseAsync(argv);
    return stopped(stop) ?? EXIT.ok;
  } catch (error) {
    const exitCode = stopped(stop);
    if (exitCode !== null) return exitCode;
    const failure = toFailure(error);
    if (failure.text !== '') process.stderr.write(`${failure.text}\n`);
    return failure.exitCode;
  }
}

/** The exit code where a signal came before the output stood, or null. */
function stopped(stop: Stop): number | null {
  const exitCode = stop.exitCode();
  if (exitCode !== null) process.stderr.write('pairscore: stopped by a signal; nothing was written\n');
  return exitCode;
}

// Stands until the work says otherwise: an event loop that runs empty too early is no success.
process.exitCode = EXIT.internal;
void main(process.argv).then((exitCode) => {
  process.exitCode = exitCode;
});
