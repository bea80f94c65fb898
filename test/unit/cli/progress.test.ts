import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { clock, progressLine, progressView } from '../../../lib/cli/progress';
import type { Progress } from '../../../lib/outcome';

/** A stream that keeps what is written; a terminal where it has columns. */
class Screen extends Writable {
  text = '';
  readonly isTTY: boolean;

  constructor(readonly columns?: number) {
    super();
    this.isTTY = columns !== undefined;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

function scoring(rowsDone: number, seconds: number): Progress {
  const devices = [{ device: 'cpu', tokens: rowsDone * 50, busySeconds: seconds / 2 }];
  const tokens = { tokensDone: rowsDone * 50, tokensTotal: 10_000 };
  return { stage: 'scoring', rowsDone, rowsTotal: 200, ...tokens, seconds, devices };
}

test('a line tells rows, rate, time left and each device', () => {
  assert.equal(progressLine(scoring(50, 10)), 'scoring 50/200 rows, 250 tokens/s, ETA 0:30, cpu 500/s, 50% busy');
});

test('a line before the first token tells no rate', () => {
  assert.equal(progressLine(scoring(0, 10)), 'scoring 0/200 rows');
});

test('time reads as a clock does', () => {
  assert.deepEqual([0, 59.2, 61, 3725, Infinity].map(clock), ['0:00', '1:00', '1:01', '1:02:05', '-']);
});

test('a terminal shows one line, never wider than itself, and keeps none of it', () => {
  const screen = new Screen(30);
  const view = progressView(screen);
  view.show(scoring(50, 10));
  view.show(scoring(60, 12));
  assert.equal(screen.text.includes('\n'), false);
  assert(screen.text.split('\r\x1b[2K').every((line) => line.length < 30));
  view.end();
  assert(screen.text.endsWith('\r\x1b[2K'));
});

test('a terminal that says it has no columns gets a whole line', () => {
  const screen = new Screen(0);
  progressView(screen).show(scoring(50, 10));
  assert(screen.text.endsWith('50% busy'));
});

test('a note on a terminal stands on a line of its own', () => {
  const screen = new Screen(80);
  const view = progressView(screen);
  view.show(scoring(50, 10));
  view.note('hello');
  assert(screen.text.endsWith('\r\x1b[2Khello\n'));
});

test('a log gets a line when scoring starts, every few seconds, and at the end, however often it is told', () => {
  const screen = new Screen();
  let now = 0;
  const view = progressView(screen, () => now);
  for (let row = 0; row <= 200; row += 1) {
    now += 100;
    view.show(scoring(row, now / 1000));
  }
  view.show(scoring(200, 30));
  const lines = screen.text.trimEnd().split('\n');
  assert.equal(lines.length, 5);
  assert.match(lines[0] ?? '', /^scoring 0\/200/);
  assert.match(lines[4] ?? '', /^scoring 200\/200/);
  assert.equal(screen.text.includes('\r'), false);
});
