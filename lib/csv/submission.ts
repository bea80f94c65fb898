import type { Preference } from '../pair';
import { SUBMISSION_HEADER } from './columns';

/** A row of the answer. */
export interface Answer {
  readonly id: string;
  readonly preference: Preference;
}

const PIECE_ROWS = 1000;
const NEEDS_QUOTES = /[",\r\n]|^\s|\s$/;

/** The submission file in pieces of many lines. JavaScript's shortest digits read back as the same number. */
export function* submissionPieces(answers: Iterable<Answer>): Generator<string> {
  let lines = [SUBMISSION_HEADER];
  for (const { id, preference } of answers) {
    const { winnerModelA, winnerModelB, winnerTie } = preference;
    lines.push(`${quoted(id)},${winnerModelA},${winnerModelB},${winnerTie}`);
    if (lines.length < PIECE_ROWS) continue;
    yield joined(lines);
    lines = [];
  }
  if (lines.length > 0) yield joined(lines);
}

function joined(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

function quoted(id: string): string {
  return NEEDS_QUOTES.test(id) ? `"${id.replaceAll('"', '""')}"` : id;
}
