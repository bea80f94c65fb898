import type { ImportProgress } from '../import/import-model';

const INTERVAL_MS = 200;

/** One line that rewrites itself: bytes, speed, time left, tensor. */
export function progressLine(stream: NodeJS.WriteStream, started: number): (progress: ImportProgress) => void {
  let shown = 0;
  return ({ doneBytes, totalBytes, tensor }) => {
    const now = Date.now();
    const isLast = doneBytes >= totalBytes;
    if (now - shown < INTERVAL_MS && !isLast) return;
    shown = now;
    const seconds = Math.max((now - started) / 1000, 1e-3);
    const left = (totalBytes - doneBytes) / (doneBytes / seconds);
    const text = `${megabytes(doneBytes)} of ${megabytes(totalBytes)} MB, ${megabytes(doneBytes / seconds)} MB/s, ${Math.round(left)} s left  ${tensor}`;
    stream.write(`\r${text.slice(0, Math.max(20, stream.columns - 1))}\x1b[K${isLast ? '\n' : ''}`);
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
