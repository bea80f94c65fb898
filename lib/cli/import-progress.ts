import type { ImportProgress } from '../import/import-model';

const LINE_MS = 200;
const PLAIN_MS = 10_000;

/** Bytes, speed, time left, tensor: one line that rewrites itself, or a plain line now and then where no terminal is. */
export function progressLine(stream: NodeJS.WriteStream, started: number): (progress: ImportProgress) => void {
  let shown = started;
  return (progress) => {
    const now = Date.now();
    const isLast = stream.isTTY && progress.doneBytes >= progress.totalBytes;
    if (now - shown < (stream.isTTY ? LINE_MS : PLAIN_MS) && !isLast) return;
    shown = now;
    const text = textOf(progress, Math.max((now - started) / 1000, 1e-3));
    stream.write(
      stream.isTTY ? `\r${text.slice(0, Math.max(20, stream.columns - 1))}\x1b[K${isLast ? '\n' : ''}` : `${text}\n`,
    );
  };
}

function textOf({ doneBytes, totalBytes, tensor }: ImportProgress, seconds: number): string {
  const speed = doneBytes / seconds;
  const left = Math.round((totalBytes - doneBytes) / speed);
  return `${megabytes(doneBytes)} of ${megabytes(totalBytes)} MB, ${megabytes(speed)} MB/s, ${left} s left  ${tensor}`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
