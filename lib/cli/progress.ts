import type { Writable } from 'node:stream';
import type { DeviceProgress, Progress } from '../outcome';

/** How long a log, which keeps every line, waits for the next. */
const PLAIN_EVERY_MS = 5000;
/** For a terminal that does not know, or says 0. */
const USUAL_COLUMNS = 100;
const CLEAR_LINE = '\r\x1b[2K';

/** Shows how far a run is. */
export interface ProgressView {
  readonly show: (progress: Progress) => void;
  /** A line of its own, above the progress. */
  readonly note: (text: string) => void;
  /** Leaves the stream ready for other lines. */
  readonly end: () => void;
}

export const SILENT: ProgressView = { show: () => undefined, note: () => undefined, end: () => undefined };

interface Terminal extends Writable {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** One line that is written over on a terminal, plain lines now and then elsewhere. */
export function progressView(stream: Terminal, now: () => number = Date.now): ProgressView {
  return stream.isTTY === true ? oneLine(stream) : plainLines(stream, now);
}

function oneLine(stream: Terminal): ProgressView {
  let isShown = false;
  const clear = (): void => {
    if (isShown) stream.write(CLEAR_LINE);
    isShown = false;
  };
  return {
    show: (progress) => {
      stream.write(CLEAR_LINE + progressLine(progress).slice(0, (stream.columns || USUAL_COLUMNS) - 1));
      isShown = true;
    },
    note: (text) => {
      clear();
      stream.write(`${text}\n`);
    },
    end: clear,
  };
}

/** A line when a stage starts, when it is done, and every few seconds between. */
function plainLines(stream: Terminal, now: () => number): ProgressView {
  let told = -Infinity;
  let key = '';
  const show = (progress: Progress): void => {
    const isDone = progress.rowsDone === progress.rowsTotal;
    const next = `${progress.stage} ${isDone}`;
    if (next === key && (isDone || now() - told < PLAIN_EVERY_MS)) return;
    key = next;
    told = now();
    stream.write(`${progressLine(progress)}\n`);
  };
  return { show, note: (text) => stream.write(`${text}\n`), end: () => undefined };
}

export function progressLine(progress: Progress): string {
  const { stage, rowsDone, rowsTotal, tokensDone, devices } = progress;
  const rows = `${stage} ${count(rowsDone)}/${count(rowsTotal)} rows`;
  if (stage !== 'scoring' || tokensDone === 0) return rows;
  const rate = tokensDone / Math.max(progress.seconds, 0.001);
  const parts = [rows, `${count(rate)} tokens/s`, `ETA ${clock(secondsLeft(progress))}`];
  return [...parts, ...devices.map((device) => deviceRate(device, progress.seconds))].join(', ');
}

/** By tokens, not by rows: the longest rows come first. */
function secondsLeft({ tokensDone, tokensTotal, seconds }: Progress): number {
  return tokensDone === 0 ? Infinity : (seconds * (tokensTotal - tokensDone)) / tokensDone;
}

function deviceRate({ device, tokens, busySeconds }: DeviceProgress, seconds: number): string {
  const busy = Math.min(100, Math.round((100 * busySeconds) / Math.max(seconds, 0.001)));
  return `${device} ${count(tokens / Math.max(busySeconds, 0.001))}/s, ${busy}% busy`;
}

/** 12345.6 -> '12,346' */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** 3725 -> '1:02:05' */
export function clock(seconds: number): string {
  if (!Number.isFinite(seconds)) return '-';
  const whole = Math.max(0, Math.ceil(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}
