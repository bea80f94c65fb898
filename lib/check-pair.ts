/** Whether a caller's value is a Pair. */

import { PairscoreError } from './errors';
import type { Pair, Turns } from './pair';
import { described } from './settings';

const PARTS = ['prompt', 'responseA', 'responseB'] as const;

/** Throws ERR_USAGE naming the key. The result is a copy: later changes by the caller change nothing. */
export function checkPair(value: unknown): Pair {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refusal('the pair', 'an object with prompt, responseA and responseB', value);
  }
  const parts = new Map<string, unknown>(Object.entries(value));
  const unknown = [...parts.keys()].find((key) => !PARTS.some((part) => part === key));
  if (unknown !== undefined)
    throw new PairscoreError('ERR_USAGE', `Expected ${PARTS.join(', ')} in the pair but received '${unknown}'`);
  const turns = (part: string): Turns => checkTurns(parts.get(part), part);
  return { prompt: turns('prompt'), responseA: turns('responseA'), responseB: turns('responseB') };
}

function checkTurns(value: unknown, key: string): Turns {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) throw refusal(key, 'a string or a list of strings', value);
  const turns: readonly unknown[] = value;
  return turns.map((turn, i) => {
    if (turn !== null && typeof turn !== 'string') throw refusal(`${key}[${i}]`, 'a string or null', turn);
    return turn;
  });
}

function refusal(key: string, expected: string, received: unknown): PairscoreError {
  return new PairscoreError('ERR_USAGE', `Expected ${key} to be ${expected} but received ${described(received)}`);
}
